import { managerNames } from '../../settings/defaults.ts';
import { parseWord } from '../values.ts';
import { type Option, setting } from './option.ts';

export const managerOptions: readonly Option[] = [
  {
    name: 'manager',
    argument: { placeholder: 'MANAGER', words: managerNames, files: false },
    group: 'Manager',
    since: '0.1',
    help: 'Service manager: auto, system, user or none',
    man: [
      "The service manager that the machine belongs to: `system` or `user` for the system's or the invoking user's systemd, `none` for no manager at all, where vmspawn starts and stops everything itself. `auto`, the default, finds out what this host has. The manager decides the runtime directory as well, see FILES.",
    ],
    key: 'Manager',
    effect: setting((settings, value, place) => {
      settings.manager = parseWord(value, managerNames, place);
    }),
  },
  {
    name: 'system',
    argument: null,
    group: 'Manager',
    since: '0.1',
    help: 'Short for --manager=system',
    man: ['The same as `--manager=system`. Of several such options the last one counts.'],
    key: null,
    effect: setting((settings) => {
      settings.manager = 'system';
    }),
  },
  {
    name: 'user',
    argument: null,
    group: 'Manager',
    since: '0.1',
    help: 'Short for --manager=user',
    man: ['The same as `--manager=user`.'],
    key: null,
    effect: setting((settings) => {
      settings.manager = 'user';
    }),
  },
];
