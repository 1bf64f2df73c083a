import { settingsFileModes } from '../../settings/defaults.ts';
import { booleanWord } from '../../settings/quantities.ts';
import { parseMachineName, parseUuid, parseWord } from '../values.ts';
import { type Option, setting } from './option.ts';

export const identityOptions: readonly Option[] = [
  {
    name: 'machine',
    short: 'M',
    argument: { placeholder: 'NAME', words: [], files: false },
    group: 'Identity',
    since: '0.1',
    help: 'Name of the machine',
    man: [
      "The name under which the machine runs. No two running machines of a user (or of the system) have the same one. It must be a host name: letters, digits and dashes, with dots between parts, at most 64 characters; no underscore and no slash. By default it is made from the image's file name. An empty value goes back to that.",
    ],
    key: null,
    effect: setting((settings, value, place) => {
      settings.machine = value === '' ? null : parseMachineName(value, place);
    }),
  },
  {
    name: 'uuid',
    argument: { placeholder: 'UUID', words: [], files: false },
    group: 'Identity',
    since: '0.1',
    help: 'UUID of the machine',
    man: [
      'The UUID that the guest sees in its firmware tables: 32 hexadecimal digits, with or without dashes, not all zero. systemd in a fresh guest takes its machine ID from it.',
      '    vmspawn --image=debian.raw --uuid=3d1bd3f5-6c25-4b9e-a34e-58a1d5b1f5a8',
    ],
    key: 'Uuid',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.uuid = parseUuid(value, place);
    }),
  },
  {
    name: 'settings',
    argument: { placeholder: 'MODE', words: settingsFileModes, files: false },
    group: 'Identity',
    since: '0.2',
    help: "Whether the machine's settings file is read",
    man: [
      'Whether a settings file named after the machine is read, see vmspawn.settings(5). With `yes`, the default, the command line wins over the file, and of a file beside the image only settings count that cannot reach the host. `override` lets the file win. `trusted` takes every setting of a file beside the image as well. With `no` no file is read.',
      '    vmspawn --machine=debian --settings=no',
    ],
    key: null,
    effect: setting((settings, value, place) => {
      const said = booleanWord(value);
      settings.settingsFile =
        said === undefined ? parseWord(value, settingsFileModes, place) : said ? 'yes' : 'no';
    }),
  },
];
