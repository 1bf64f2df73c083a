import { isBackground } from '../../console/background.ts';
import { consoleModes, consoleTransports, reaches } from '../../settings/defaults.ts';
import type { Settings } from '../../settings/settings.ts';
import { type Place, parseBoolean, parseWord, refuse } from '../values.ts';
import { type Option, setting } from './option.ts';

/** The modes that have a terminal of their own to lose. */
const kept: readonly string[] = ['interactive', 'read-only'];
const keep = ',keep';

export const consoleOptions: readonly Option[] = [
  {
    name: 'console',
    oldNames: [{ name: 'qemu-gui', value: 'gui' }],
    argument: {
      placeholder: 'MODE[,keep]',
      words: [...consoleModes, ...kept.map((mode) => `${mode}${keep}`)],
      files: false,
    },
    group: 'Input and output',
    since: '0.1',
    help: 'How the console is connected to this terminal',
    man: [
      "What becomes of the guest's console. `interactive`, the default, connects it to this terminal in both directions; see KEYS for the way out. `read-only` shows its output and takes no input. `native` leaves the terminal to QEMU, with its own monitor and keys. `gui` opens a window of QEMU's with a virtual screen, and `headless` shows nothing; vmspawnctl(1) attaches to it later.",
      'A terminal that is closed, or lost with its connection, asks the guest to power off. With `interactive,keep` and `read-only,keep` the machine goes on without a terminal, as after Ctrl-] Ctrl-] d; everything else ends it as usual.',
    ],
    key: 'Console',
    effect: setting((settings, value, place) => {
      const wanted = value.endsWith(keep);
      const mode = parseWord(wanted ? value.slice(0, -keep.length) : value, consoleModes, place);
      if (wanted && !kept.includes(mode)) {
        throw refuse(place, value, 'has no terminal to lose: keep goes with interactive and read-only');
      }
      settings.console = mode;
      settings.consoleKeep = wanted;
    }),
  },
  {
    name: 'console-transport',
    argument: { placeholder: 'TRANSPORT', words: consoleTransports, files: false },
    group: 'Input and output',
    since: '0.4',
    help: 'The device that the guest has as its console',
    man: [
      'What the guest sees as its console: `virtio`, the default, is a virtio console (`hvc0`), which is fast; `serial` is a serial port (`ttyS0`, on ARM `ttyAMA0`), which also boot loaders and kernels without virtio can use. Has no effect on `--console=gui`.',
    ],
    key: 'ConsoleTransport',
    effect: setting((settings, value, place) => {
      settings.consoleTransport = parseWord(value, consoleTransports, place);
    }),
  },
  {
    name: 'console-allow',
    argument: { placeholder: '[~]NAME,...', words: [...reaches, 'all'], files: false },
    group: 'Input and output',
    since: '0.4',
    help: 'What the guest may do to this terminal',
    man: [
      "What of the guest's output goes to a terminal that reaches further than its own part of the screen, a list of names; `~` before one takes it away, `all` stands for all, and the empty value for none. By default `graphics` (sixel, and images of the kitty protocol that are in the data), `hyperlinks` and `title` are allowed. `clipboard` lets the guest read and replace what was copied, `colours` change the palette, `files` make the terminal read and write files of the host, `notifications` speak on the desktop, `window` move and resize the window, and `working-directory` choose where new windows open.",
      'Sequences that make a terminal type something that the guest has chosen, or that print, are always left out. Pipes and files get everything as it is.',
    ],
    key: 'ConsoleAllow',
    effect: setting((settings, value, place) => {
      settings.consoleAllow = parseReaches(settings.consoleAllow, value, place);
    }),
  },
  {
    name: 'background',
    argument: { placeholder: 'COLOUR', words: [], files: false },
    group: 'Input and output',
    since: '0.4',
    help: 'Background of the console',
    man: [
      "The background of the guest's console in this terminal, as parameters of the ANSI sequence SGR: `44` is blue, `48;5;22` a dark green, `48;2;12;51;19` the one that a black terminal gets by default. When the option is not given, the terminal is asked for its background, which is then tinted green. An empty value leaves the background as it is, as do `$NO_COLOR` and `$SYSTEMD_TINT_BACKGROUND=0` where the option is not given.",
    ],
    key: 'Background',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.background = parseBackground(value, place);
    }),
  },
  {
    name: 'json',
    argument: null,
    group: 'Input and output',
    since: '0.1',
    help: 'Write listings as JSON',
    man: ['Writes what `--firmware=list` and `--firmware-features=list` show as JSON, for programs.'],
    key: null,
    effect: setting((settings, value, place) => {
      settings.json = parseBoolean(value, place);
    }),
  },
  {
    name: 'quiet',
    short: 'q',
    argument: null,
    group: 'Input and output',
    since: '0.1',
    help: 'No notices, only warnings and errors',
    man: [
      "Leaves out what vmspawn says about its own work: the line at the start, the reminder of the keys, and notices. Warnings, errors and the guest's console stay.",
    ],
    key: 'Quiet',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.quiet = parseBoolean(value, place);
    }),
  },
];

/** Parameters of SGR, or null for the empty value. Throws UsageError. */
export function parseBackground(value: string, place: Place): string | null {
  if (value === '' || isBackground(value)) return value === '' ? null : value;
  throw refuse(
    place,
    value,
    'is no background colour',
    'Give SGR parameters: 40 to 47, 100 to 107, 48;5;NUMBER or 48;2;RED;GREEN;BLUE; or nothing for no tint.',
  );
}

/** Adds to what is allowed, or takes away from it. Throws UsageError. */
export function parseReaches(
  before: Settings['consoleAllow'],
  value: string,
  place: Place,
): Settings['consoleAllow'] {
  if (value === '') return [];
  const allowed = new Set(before);
  for (const item of value.split(',')) {
    if (item === 'all') {
      for (const name of reaches) allowed.add(name);
      continue;
    }
    const name = parseWord(item.replace(/^~/, ''), reaches, place);
    if (item.startsWith('~')) allowed.delete(name);
    else allowed.add(name);
  }
  return reaches.filter((name) => allowed.has(name));
}
