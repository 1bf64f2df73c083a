import { consoleModes, consoleTransports } from '../../settings/defaults.ts';
import { parseBoolean, parseWord, refuse } from '../values.ts';
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
