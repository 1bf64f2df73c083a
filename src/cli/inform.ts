import type { Environment } from '../host/identity.ts';
import type { Settings } from '../settings/settings.ts';
import { isTerminal, terminalSize, writeOut } from '../sys/stdio.ts';
import { renderHelp } from './help.ts';
import type { Action } from './options/option.ts';
import { colourAllowed, screenColumns } from './output.ts';
import { page } from './pager.ts';
import { versionText } from './version.ts';

/** `--help`, through a pager on a terminal, and `--version`. Gives the exit status. */
export function inform(
  action: Exclude<Action, 'clean-up'>,
  settings: Settings,
  environment: Environment,
): number {
  if (action === 'version') {
    writeOut(versionText());
    return 0;
  }
  const stdoutIsTerminal = isTerminal(1);
  const text = renderHelp({
    columns:
      environment['COLUMNS'] === undefined ? (terminalSize(1)?.columns ?? 80) : screenColumns(environment),
    bold: colourAllowed(environment, stdoutIsTerminal),
  });
  page(text, { wanted: settings.pager, stdoutIsTerminal, environment, write: writeOut });
  return 0;
}
