import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { zshCompletion } from './completion/zsh.ts';
import { ctlBashCompletion, ctlFishCompletion, ctlZshCompletion } from './ctl/completion.ts';
import { commands, ctlOptions } from './ctl/options.ts';
import { journalFields, lifecycle } from './lifecycle.ts';
import { type Definitions, renderMan } from './man.ts';
import { shownOptions } from './options.ts';

/** The lists that man pages have from the program's own tables. */
export const manDefinitions: Definitions = {
  'journal fields': Object.entries(journalFields).map(([name, means]) => [`\`${name}=\``, means]),
  'journal events': Object.entries(lifecycle).map(([event, { id, means }]) => [
    `\`${id}\` (${event})`,
    means,
  ]),
  'control commands': commands.map(({ name, man }) => [`\`${name}\` [_NAME_]`, man]),
  'control options': ctlOptions.map(({ name, short, argument, man }) => [
    `${short === undefined ? '' : `\`-${short}\`, `}\`--${name}${argument === null ? '`' : `=\`_${argument.placeholder}_`}`,
    man,
  ]),
};

/**
 * What the build writes below dist/, by path: man pages and completions. `pages` are the files of man/ by their names
 * without `.md`, such as vmspawn.1. No program loads this.
 */
export function documentation(
  pages: { readonly [name: string]: string },
  version: string,
): Record<string, string> {
  const options = shownOptions();
  const manuals = Object.entries(pages).map(([page, markup]) => [
    `man/man${page.at(-1)}/${page}`,
    renderMan(markup, options, version, page, manDefinitions),
  ]);
  return {
    ...Object.fromEntries(manuals),
    'completions/bash/vmspawn': bashCompletion(options),
    'completions/zsh/_vmspawn': zshCompletion(options),
    'completions/fish/vmspawn.fish': fishCompletion(options),
    'completions/bash/vmspawnctl': ctlBashCompletion(),
    'completions/zsh/_vmspawnctl': ctlZshCompletion(),
    'completions/fish/vmspawnctl.fish': ctlFishCompletion(),
  };
}
