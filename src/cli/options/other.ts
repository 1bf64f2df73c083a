import { parseBoolean } from '../values.ts';
import { type Option, setting } from './option.ts';

export const otherOptions: readonly Option[] = [
  {
    name: 'no-pager',
    argument: null,
    group: 'Other',
    since: '0.1',
    help: 'Do not pipe long output into a pager',
    man: [
      'Writes the help text and listings straight to the terminal. See ENVIRONMENT for which pager is used otherwise.',
    ],
    key: null,
    effect: setting((settings, value, place) => {
      settings.pager = !parseBoolean(value, place);
    }),
  },
  {
    name: 'help',
    short: 'h',
    argument: null,
    group: 'Other',
    since: '0.1',
    help: 'Show this help',
    man: ['Shows a short help text and starts nothing.'],
    key: null,
    effect: { kind: 'action', action: 'help' },
  },
  {
    name: 'version',
    argument: null,
    group: 'Other',
    since: '0.1',
    help: 'Show the version and the features built in',
    man: [
      'Shows the version, and in a second line what it can do (`+`) and cannot do (`-`), and starts nothing.',
    ],
    key: null,
    effect: { kind: 'action', action: 'version' },
  },
  {
    name: 'clean-up',
    hidden: true,
    argument: null,
    group: 'Other',
    since: '0.1',
    help: 'Remove what a killed machine has left behind',
    man: [
      'Removes the runtime directory of the machine that `--machine=` names, unless the machine runs. For `ExecStopPost=` of its service.',
    ],
    key: null,
    effect: { kind: 'action', action: 'clean-up' },
  },
];
