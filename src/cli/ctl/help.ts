import { programVersion } from '../../assets.ts';
import type { Environment } from '../../host/identity.ts';
import { isTerminal, terminalSize, writeOut } from '../../sys/stdio.ts';
import { type HelpStyle, helpEntry, layOutHelp } from '../help.ts';
import { colourAllowed, screenColumns } from '../output.ts';
import { commands, ctlOptions } from './options.ts';

/** The text of `vmspawnctl --help`. */
export function renderCtlHelp(style: HelpStyle): string {
  const ofCommand = ctlOptions.filter(({ command }) => command !== null);
  const ofAll = ctlOptions.filter(({ command }) => command === null);
  return layOutHelp(
    {
      usage: ['vmspawnctl [OPTIONS...] COMMAND [NAME]'],
      summary: 'Talk to machines that vmspawn runs. Without a name the only one that runs is meant.',
      sections: [
        {
          title: 'Commands',
          entries: commands.map(({ name, help }) => ({ label: `  ${name} [NAME]`, help })),
        },
        ...commands.map(({ name }) => ({
          title: `Options of ${name}`,
          entries: ofCommand.filter(({ command }) => command === name).map(helpEntry),
        })),
        { title: 'Other options', entries: ofAll.map(helpEntry) },
      ],
      see: 'See vmspawnctl(1) for details.',
    },
    style,
  );
}

/** `--help` and `--version`. Gives the exit status. */
export function informCtl(action: 'help' | 'version', environment: Environment): number {
  if (action === 'version') writeOut(`vmspawnctl ${programVersion()}\n`);
  else {
    writeOut(
      renderCtlHelp({
        columns:
          environment['COLUMNS'] === undefined
            ? (terminalSize(1)?.columns ?? 80)
            : screenColumns(environment),
        bold: colourAllowed(environment, isTerminal(1)),
      }),
    );
  }
  return 0;
}
