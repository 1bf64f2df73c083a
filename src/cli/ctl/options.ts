import type { Whose } from '../../session/machines.ts';
import { allowedReaches, reaches } from '../../settings/defaults.ts';
import type { Settings } from '../../settings/settings.ts';
import { parseBackground, parseReaches } from '../options/console.ts';
import type { SpelledOption } from '../options/option.ts';
import type { Place } from '../values.ts';

/** A command of vmspawnctl(1). Help, man page and completions read it from here. */
export interface Command {
  readonly name: 'attach' | 'console-log';
  /** One line without a full stop. */
  readonly help: string;
  /** For the man page, in its markup. */
  readonly man: string;
}

export const commands: readonly Command[] = [
  {
    name: 'attach',
    help: "Connect this terminal with a machine's console",
    man: 'Connects the terminal, or whatever standard input and output are, with the console of the machine, after the last lines of what it showed before. Any number of users may be attached, but one at a time may write. The machine goes on when the terminal is closed; `attach` ends with the machine. The end of an input that is no terminal ends the input only.',
  },
  {
    name: 'console-log',
    help: "Show what a machine's console has shown",
    man: 'Writes what the console of the machine has shown, of which the last MiB is kept. To a terminal it goes without what would move the cursor or change the terminal, and with other control characters as escapes; anywhere else as the bytes that they are.',
  },
];

export interface CtlSettings extends Pick<Settings, 'background' | 'consoleAllow'> {
  action: 'run' | 'help' | 'version';
  readOnly: boolean;
  steal: boolean;
  follow: boolean;
  whose: Whose;
  quiet: boolean;
}

export function defaultCtlSettings(): CtlSettings {
  return {
    action: 'run',
    readOnly: false,
    steal: false,
    follow: false,
    whose: 'all',
    quiet: false,
    background: 'auto',
    consoleAllow: [...allowedReaches],
  };
}

/** An option of vmspawnctl(1). */
export interface CtlOption extends SpelledOption {
  /** The only command that takes it; null for all. */
  readonly command: Command['name'] | null;
  /** For the man page, in its markup. */
  readonly man: string;
  /** One without argument gets the empty value. Throws UsageError. */
  readonly set: (settings: CtlSettings, value: string, place: Place) => void;
}

export const ctlOptions: readonly CtlOption[] = [
  {
    name: 'read-only',
    short: 'r',
    argument: null,
    command: 'attach',
    help: 'Only show the console, and send nothing',
    man: 'With `attach`: the console is shown and nothing is sent to it, so that it does not matter whether somebody else writes. `Ctrl-C` leaves it.',
    set: (settings) => {
      settings.readOnly = true;
    },
  },
  {
    name: 'steal',
    argument: null,
    command: 'attach',
    help: 'Take the console over from whoever writes',
    man: 'With `attach`: takes the right to write away from whoever has it. A `vmspawnctl` that loses it says so and leaves with status 1; `vmspawn` in front of its own machine goes on showing the console.',
    set: (settings) => {
      settings.steal = true;
    },
  },
  {
    name: 'console-allow',
    argument: { placeholder: '[~]NAME,...', words: [...reaches, 'all'], files: false },
    command: 'attach',
    help: 'What the guest may do to this terminal',
    man: 'With `attach`: what the guest may do to this terminal beside writing in it, as in vmspawn(1).',
    set: (settings, value, place) => {
      settings.consoleAllow = parseReaches(settings.consoleAllow, value, place);
    },
  },
  {
    name: 'background',
    argument: { placeholder: 'COLOUR', words: [], files: false },
    command: 'attach',
    help: 'Background of the console',
    man: 'With `attach`: the background of the console, as in vmspawn(1).',
    set: (settings, value, place) => {
      settings.background = parseBackground(value, place);
    },
  },
  {
    name: 'follow',
    short: 'f',
    argument: null,
    command: 'console-log',
    help: 'Go on with what the console shows from now on',
    man: 'With `console-log`: goes on with what the console shows from now on, until the machine ends.',
    set: (settings) => {
      settings.follow = true;
    },
  },
  {
    name: 'system',
    argument: null,
    command: null,
    help: 'Only machines of the system',
    man: "Looks for machines of the system only, those in `/run/vmspawn`. By default one's own machines are looked for first, then those of the system.",
    set: (settings) => {
      settings.whose = 'system';
    },
  },
  {
    name: 'user',
    argument: null,
    command: null,
    help: "Only one's own machines",
    man: "Looks for one's own machines only, those in `$XDG_RUNTIME_DIR/vmspawn`. Of several such options the last one counts.",
    set: (settings) => {
      settings.whose = 'user';
    },
  },
  {
    name: 'quiet',
    short: 'q',
    argument: null,
    command: null,
    help: 'No notices, only errors',
    man: 'Leaves out what vmspawnctl says about its own work.',
    set: (settings) => {
      settings.quiet = true;
    },
  },
  {
    name: 'help',
    short: 'h',
    argument: null,
    command: null,
    help: 'Show this help',
    man: 'Shows a short help text.',
    set: (settings) => {
      if (settings.action === 'run') settings.action = 'help';
    },
  },
  {
    name: 'version',
    argument: null,
    command: null,
    help: 'Show the version',
    man: 'Shows the version.',
    set: (settings) => {
      if (settings.action === 'run') settings.action = 'version';
    },
  },
];
