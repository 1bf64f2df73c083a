import { parseTimeSpan } from '../quantities.ts';
import { absolutePath, parseBoolean, parsePath, parseTristate, parseWord, refuse } from '../values.ts';
import { type Option, pathArgument, setting, tristateArgument } from './option.ts';

const dryRunFormats = ['text', 'json'] as const;

export const executionOptions: readonly Option[] = [
  {
    name: 'linux',
    argument: pathArgument,
    group: 'Execution',
    since: '0.1',
    help: 'Boot this kernel directly',
    man: [
      'A kernel or a unified kernel image that is started without a boot loader. Its command line is what stands after the options, see KERNEL COMMAND LINE. On x86-64 it is a bzImage or an ELF file with a PVH or Multiboot header, on arm64 an Image, which may be compressed with gzip; either may have an EFI stub. A unified kernel image needs UEFI firmware. An empty value takes an earlier one back.',
      '    vmspawn --image=root.raw --linux=vmlinuz --initrd=initrd.img root=/dev/vda rw',
    ],
    key: 'Linux',
    effect: setting((settings, value, place) => {
      settings.linux = parsePath(value, place);
    }),
  },
  {
    name: 'initrd',
    argument: pathArgument,
    repeatable: true,
    group: 'Execution',
    since: '0.1',
    help: 'Initrd for the kernel; repeatable',
    man: [
      'An initrd for the kernel of `--linux=`, which it needs. May be given more than once: the files are joined in the order given, each padded to four bytes, as the kernel wants it. An empty value clears the list.',
    ],
    key: 'Initrd',
    effect: setting((settings, value, place) => {
      settings.initrd = value === '' ? [] : [...settings.initrd, absolutePath(value, place)];
    }),
  },
  {
    name: 'notify-ready',
    argument: tristateArgument,
    group: 'Execution',
    since: '0.1',
    help: 'Report readiness only when the guest is ready',
    man: [
      "When the machine counts as ready, which is when the service manager that started vmspawn is told so (`READY=1`, `Type=notify`). With `yes`, the guest has to say so; one that has not done so after 90 seconds, or 5 minutes without KVM, is spoken of once, also as the status of the service, and waited for until the manager's own time is up. With `no`, the machine is ready as soon as its processors run. `auto`, the default, waits for the guest's word where it may come: not for a kernel that is booted directly without an image. If after the same time there was no word, that is said once and the machine counts as ready. For a tree of `--directory=` with a systemd that is too old to say it, older than 256, or than 254 with a vsock device, that is said once; `auto` does not wait there, and `yes` waits for something else in the guest that writes to the port.",
      'How a guest gives its word is in READINESS.',
    ],
    key: 'NotifyReady',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.notifyReady = parseTristate(value, place);
    }),
  },
  {
    name: 'shutdown-timeout',
    argument: { placeholder: 'TIMESPAN', words: ['30s', '90s', '5min', 'infinity'], files: false },
    group: 'Execution',
    since: '0.1',
    help: 'How long the guest may take to power off',
    man: [
      'How long a guest that was asked to power off may take before it is switched off: seconds, or a time span as in systemd.time(7) such as `1min 30s`, at most 24 days, or `infinity`. Default: `90s`. With `0` it is switched off at once. Another signal does not wait for the end of this time.',
    ],
    key: 'ShutdownTimeout',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.shutdownTimeout = parseTimeSpan(value, place);
    }),
  },
  {
    name: 'qemu-arg',
    argument: { placeholder: 'WORD', words: [], files: false },
    repeatable: true,
    group: 'Execution',
    since: '0.1',
    help: "Add a word to QEMU's command line; repeatable",
    man: [
      "A word that is put at the end of QEMU's command line as it is, for what no option covers. Each use adds one word, so that an argument with a value takes two. An empty value clears the list. Nothing checks these words: they can break what vmspawn sets up.",
      '    vmspawn --image=debian.raw --qemu-arg=-rtc --qemu-arg=base=localtime',
    ],
    key: 'QemuArg',
    effect: setting((settings, value, place) => {
      if (value.includes('\0')) throw refuse(place, value, 'holds a NUL character');
      settings.qemuArguments = value === '' ? [] : [...settings.qemuArguments, value];
    }),
  },
  {
    name: 'detach',
    short: 'd',
    argument: null,
    group: 'Execution',
    since: '0.4',
    help: 'Start the machine in the background',
    man: [
      "Starts the machine in the background, in a session of its own, and returns: with status 0 as soon as its processors run, or, with `--notify-ready=yes`, when the guest has said that it is ready; otherwise with the start's failure and its status. A signal before that gives the start up. Notices and warnings go to the journal from then on, where there is one.",
      'The console is kept, and vmspawnctl(1) attaches to it; `--console=read-only`, `native` and `gui` cannot be had with it, nor can `--keep-unit` and `--dry-run`. For a machine that is started with the host there is vmspawn@.service(8).',
      '    vmspawn --image=debian.raw --detach',
    ],
    key: null,
    effect: setting((settings, value, place) => {
      settings.detach = parseBoolean(value, place);
    }),
  },
  {
    name: 'dry-run',
    argument: { placeholder: 'FORMAT', optional: 'text', words: dryRunFormats, files: false },
    group: 'Execution',
    since: '0.1',
    help: 'Show what would be started, as a script or JSON',
    man: [
      'Starts nothing and changes nothing, but prints what would be done: as `text`, the default, a shell script that starts the same machine by hand, secrets left out; as `json` the plan as data. The format must follow with an equals sign.',
      '    vmspawn --image=debian.raw --dry-run=json',
    ],
    key: null,
    effect: setting((settings, value, place) => {
      settings.dryRun = parseWord(value, dryRunFormats, place);
    }),
  },
];
