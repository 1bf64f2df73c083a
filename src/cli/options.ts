import { consoleOptions } from './options/console.ts';
import { credentialOptions } from './options/credentials.ts';
import { directoryOptions } from './options/directories.ts';
import { executionOptions } from './options/execution.ts';
import { firmwareOptions } from './options/firmware.ts';
import { hostOptions } from './options/host.ts';
import { identityOptions } from './options/identity.ts';
import { imageOptions } from './options/image.ts';
import { managerOptions } from './options/manager.ts';
import { networkOptions } from './options/network.ts';
import type { Option } from './options/option.ts';
import { otherOptions } from './options/other.ts';

/** Every option, in the order of help and man page. */
export const options: readonly Option[] = [
  ...imageOptions,
  ...directoryOptions,
  ...hostOptions,
  ...firmwareOptions,
  ...networkOptions,
  ...executionOptions,
  ...credentialOptions,
  ...identityOptions,
  ...consoleOptions,
  ...managerOptions,
  ...otherOptions,
];

/** Those that help, man page and completions show. */
export function shownOptions(): readonly Option[] {
  return options.filter((option) => option.hidden !== true);
}
