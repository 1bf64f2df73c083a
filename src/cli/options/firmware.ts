import { firmwareKeywords } from '../../settings/defaults.ts';
import type { Settings } from '../../settings/settings.ts';
import {
  type Place,
  parsePath,
  parsePathWithSlash,
  parseStatePath,
  parseTristate,
  refuse,
} from '../values.ts';
import { type Option, pathArgument, setting, stateArgument, tristateArgument } from './option.ts';

export const firmwareOptions: readonly Option[] = [
  {
    name: 'firmware',
    argument: { placeholder: 'FIRMWARE', words: firmwareKeywords, files: true },
    group: 'Firmware',
    since: '0.1',
    help: 'Which firmware to use; list or describe shows it',
    man: [
      'The firmware of the machine. `auto`, the default, is UEFI, or none where `--linux=` names a kernel that UEFI cannot start. `uefi` takes the first UEFI firmware of the host that fits the machine and the wanted features, `bios` the BIOS that comes with QEMU. `none` needs `--linux=`. An empty value is `auto`.',
      'A path names one firmware descriptor (a JSON file as QEMU defines it) and must hold a slash, for example `./my-firmware.json`; it is taken whatever its features, except that `--secure-boot=yes` still demands Secure Boot.',
      '`list` starts no machine but shows the firmware that this host offers, and `describe` the one that would be taken. On a terminal the list is a table, in a pipe it is one path a line; `--json` gives JSON.',
      '    vmspawn --firmware=list',
    ],
    key: 'Firmware',
    harmless: 'unless-path',
    effect: setting((settings, value, place) => {
      const keyword = value === '' ? 'auto' : firmwareKeywords.find((word) => word === value);
      settings.firmware = keyword ?? { path: parsePathWithSlash(value, firmwareKeywords, place) };
    }),
  },
  {
    name: 'firmware-features',
    argument: {
      placeholder: 'FEATURES',
      words: [
        'list',
        'secure-boot',
        'enrolled-keys',
        '~enrolled-keys',
        'requires-smm',
        'acpi-s3',
        'verbose-dynamic',
      ],
      files: false,
    },
    repeatable: true,
    group: 'Firmware',
    since: '0.1',
    help: 'Features that the firmware must have, or not (~)',
    man: [
      'A comma-separated list of features that the firmware must have, or, with a tilde before it, must not have. By default firmware with the feature `enrolled-keys` is left out, because it starts nothing but signed boot loaders. A feature that is both wanted and unwanted is wanted. May be given more than once, which adds up; an empty value clears both lists, the default included.',
      '`list` shows every feature of every firmware of this host, one a line, and starts no machine.',
      '    vmspawn --image=debian.raw --firmware-features=enrolled-keys,~verbose-dynamic',
    ],
    key: 'FirmwareFeatures',
    harmless: true,
    effect: setting(setFirmwareFeatures),
  },
  {
    name: 'secure-boot',
    argument: tristateArgument,
    group: 'Firmware',
    since: '0.1',
    help: 'Take firmware with, or without, Secure Boot',
    man: [
      'Whether the firmware must offer Secure Boot (`yes`) or must not (`no`). `auto`, the default, does not care. Firmware that is found without the keys of a vendor enforces nothing until keys are enrolled; see `--firmware-features=`.',
    ],
    key: 'SecureBoot',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.secureBoot = parseTristate(value, place);
    }),
  },
  {
    name: 'efi-nvram-state',
    argument: stateArgument,
    group: 'Firmware',
    since: '0.1',
    help: 'Where UEFI variables are kept between runs',
    man: [
      "The file that holds the variables of the UEFI firmware. `auto` or `yes`, the default, is the image's path with `.efinvramstate` appended; without an image there is no such place and the variables are thrown away. `no` or an empty value throws them away at the end of each run. Anything else is a path and must hold a slash: write `./vars` for a file of that name in the working directory.",
      'A file that is missing is made from the template of the firmware, readable for its owner only. It is refused when it is a link, belongs to another user or can be written to by others, or when others can write to a directory on the way to it, as with `--tpm-state=`.',
    ],
    key: 'EfiNvramState',
    harmless: 'unless-path',
    effect: setting((settings, value, place) => {
      settings.efiNvramState = parseStatePath(value, place);
    }),
  },
  {
    name: 'efi-nvram-template',
    argument: pathArgument,
    group: 'Firmware',
    since: '0.1',
    help: 'Fill fresh UEFI variables from this file',
    man: [
      "The file that UEFI variables are first filled from, in place of the template that the firmware's descriptor names. It must fit the firmware. Variables that were kept from an earlier run are not touched. An empty value takes an earlier one back.",
    ],
    key: 'EfiNvramTemplate',
    effect: setting((settings, value, place) => {
      settings.efiNvramTemplate = parsePath(value, place);
    }),
  },
];

function setFirmwareFeatures(settings: Settings, value: string, place: Place): void {
  if (value === '') {
    settings.firmwareFeatures = { include: [], exclude: [], list: false };
    return;
  }
  if (value === 'list') {
    settings.firmwareFeatures.list = true;
    return;
  }
  const include = new Set(settings.firmwareFeatures.include);
  const exclude = new Set(settings.firmwareFeatures.exclude);
  for (const item of value.split(',')) {
    const name = item.replace(/^~/, '');
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) || name === 'list') {
      throw refuse(
        place,
        value,
        'is no list of firmware features',
        'Separate names by commas, with ~ before one that is not wanted; --firmware-features=list shows them.',
      );
    }
    (item.startsWith('~') ? exclude : include).add(name);
  }
  settings.firmwareFeatures = {
    ...settings.firmwareFeatures,
    include: [...include],
    exclude: [...exclude].filter((name) => !include.has(name)),
  };
}
