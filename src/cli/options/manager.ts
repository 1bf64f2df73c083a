import { managerNames, scopeInterfaces } from '../../settings/defaults.ts';
import { parseSlice } from '../unit-name.ts';
import { parseBoolean, parseTristate, parseWord, refuse } from '../values.ts';
import { type Option, setting, tristateArgument } from './option.ts';

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
  {
    name: 'slice',
    short: 'S',
    argument: {
      placeholder: 'SLICE',
      words: ['machine.slice', 'user.slice', 'background.slice'],
      files: false,
    },
    group: 'Manager',
    since: '0.2',
    help: "Slice that the machine's scope is put into",
    man: [
      "The slice that the machine's scope becomes a part of, see systemd.slice(5); the suffix `.slice` may be left out. Default: `machine.slice`. An empty value goes back to that. It cannot be combined with `--keep-unit`, which makes no scope, nor with `--scope=varlink`, which takes no slice.",
      '    vmspawn --image=debian.raw --slice=machine-build.slice',
    ],
    key: 'Slice',
    effect: setting((settings, value, place) => {
      settings.slice = value === '' ? null : parseSlice(value, place);
    }),
  },
  {
    name: 'property',
    argument: {
      placeholder: 'NAME=VALUE',
      words: ['CPUQuota=', 'CPUWeight=', 'IOWeight=', 'MemoryHigh=', 'MemoryMax=', 'TasksMax='],
      files: false,
    },
    repeatable: true,
    group: 'Manager',
    since: '0.2',
    help: "Set a property of the machine's scope; repeatable",
    man: [
      "Sets a property of the machine's scope, with the names and values of `systemctl set-property`: those of systemd.resource-control(5), systemd.scope(5), systemd.kill(5) and some of systemd.unit(5). May be given more than once; an empty value clears the list. It cannot be combined with `--keep-unit` nor with `--scope=varlink`, as `--slice=`.",
      '    vmspawn --image=debian.raw --property=MemoryMax=6G --property=CPUQuota=150%',
    ],
    key: 'Property',
    effect: setting((settings, value, place) => {
      if (value === '') {
        settings.properties = [];
        return;
      }
      const equals = value.indexOf('=');
      if (equals < 1 || value.includes('\0')) {
        throw refuse(place, value, 'is no assignment', 'Write NAME=VALUE, for example MemoryMax=6G.');
      }
      settings.properties = [
        ...settings.properties,
        { name: value.slice(0, equals), value: value.slice(equals + 1) },
      ];
    }),
  },
  {
    name: 'keep-unit',
    argument: null,
    group: 'Manager',
    since: '0.2',
    help: 'Stay in the unit that vmspawn was started in',
    man: [
      'Makes no scope: the machine stays in the unit that vmspawn was started in. This is for services whose only task is one machine.',
    ],
    key: null,
    effect: setting((settings, value, place) => {
      settings.keepUnit = parseBoolean(value, place);
    }),
  },
  {
    name: 'register',
    argument: tristateArgument,
    group: 'Manager',
    since: '0.2',
    help: 'Register the machine with systemd-machined',
    man: [
      'Whether the machine is registered with systemd-machined(8), so that machinectl(1) shows it. `auto`, the default, does so where that service is there, and goes on with a warning when it refuses; `yes` fails in both cases; `no` leaves it out.',
    ],
    key: 'Register',
    effect: setting((settings, value, place) => {
      settings.register = parseTristate(value, place);
    }),
  },
  {
    name: 'scope',
    argument: { placeholder: 'INTERFACE', words: scopeInterfaces, files: false },
    group: 'Manager',
    since: '0.2',
    help: 'How the scope is made: auto, varlink or dbus',
    man: [
      "The interface by which the machine's scope is made: `varlink` leaves it to systemd-machined, which takes neither `--slice=` nor `--property=`; `dbus` asks the service manager itself. `auto`, the default, takes the one that can do what is asked.",
    ],
    key: 'Scope',
    effect: setting((settings, value, place) => {
      settings.scope = parseWord(value, scopeInterfaces, place);
    }),
  },
  {
    name: 'no-ask-password',
    argument: null,
    group: 'Manager',
    since: '0.2',
    help: 'Do not ask the user for a password',
    man: [
      'Does not ask for a password where the service manager wants one for what it is asked to do; such a request is refused then.',
    ],
    key: null,
    effect: setting((settings, value, place) => {
      settings.askPassword = !parseBoolean(value, place);
    }),
  },
];
