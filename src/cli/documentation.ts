import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { zshCompletion } from './completion/zsh.ts';
import { renderMan } from './man.ts';
import { shownOptions } from './options.ts';

/** What the build writes below dist/, by path: the man page and the completions. No program loads this. */
export function documentation(manMarkup: string, version: string): Record<string, string> {
  const options = shownOptions();
  return {
    'man/man1/vmspawn.1': renderMan(manMarkup, options, version),
    'completions/bash/vmspawn': bashCompletion(options),
    'completions/zsh/_vmspawn': zshCompletion(options),
    'completions/fish/vmspawn.fish': fishCompletion(options),
  };
}
