import { parseRam } from '../quantities.ts';
import { parseStatePath, parseTristate, parseWholeNumber, refuse } from '../values.ts';
import { type Option, setting, stateArgument, tristateArgument } from './option.ts';

export const hostOptions: readonly Option[] = [
  {
    name: 'cpus',
    oldNames: [{ name: 'qemu-smp' }],
    argument: { placeholder: 'N', words: [], files: false },
    group: 'Host',
    since: '0.1',
    help: 'Number of virtual CPUs',
    man: [
      'How many virtual CPUs the machine has, a whole number from 1 to 4096. Default: 1. A machine type may allow fewer; QEMU then says so.',
      "QEMU's own notation with sockets, cores and threads is not understood here; pass it on with `--qemu-arg=`:",
      '    vmspawn --image=debian.raw --qemu-arg=-smp --qemu-arg=4,sockets=2',
    ],
    key: 'Cpus',
    harmless: true,
    effect: setting((settings, value, place) => {
      const hint = value.includes(',')
        ? `For a topology in QEMU's notation use --qemu-arg=-smp with --qemu-arg=${value.slice(0, 100)}`
        : undefined;
      settings.cpus = parseWholeNumber(value, { least: 1, most: 4096 }, place, hint);
    }),
  },
  {
    name: 'ram',
    oldNames: [{ name: 'qemu-mem' }],
    argument: { placeholder: 'SIZE[:MAX[:SLOTS]]', words: ['512M', '1G', '2G', '4G', '8G'], files: false },
    group: 'Host',
    since: '0.1',
    help: 'Memory of the machine, and room to grow',
    man: [
      'The memory of the machine in bytes, with one of the suffixes `K`, `M`, `G`, `T`, `P` and `E` (base 1024) and a decimal part if need be; rounded up to MiB. Default: `2G`. Zero is refused.',
      '_MAX_ is the size up to which memory can be added while the machine runs, and must not be smaller than _SIZE_. _SLOTS_ is how many memory modules can be added, from 1 to 256, 1 unless given; it needs _MAX_.',
      '    vmspawn --image=debian.raw --ram=1.5G:8G:4',
    ],
    key: 'Ram',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.ram = parseRam(value, place);
    }),
  },
  {
    name: 'kvm',
    oldNames: [{ name: 'qemu-kvm' }],
    argument: tristateArgument,
    group: 'Host',
    since: '0.1',
    help: 'Use KVM acceleration',
    man: [
      'Whether the processor of the host runs the guest (KVM) or QEMU translates it (TCG), which is many times slower. `auto`, the default, takes KVM if it is usable: the device `/dev/kvm` opens, its interface answers, and the host can run an unmodified guest. Otherwise the machine runs with TCG after one warning that says why. `yes` insists on KVM and fails with the reason; `no` takes TCG without a warning.',
    ],
    key: 'Kvm',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.kvm = parseTristate(value, place);
    }),
  },
  {
    name: 'vsock',
    oldNames: [{ name: 'qemu-vsock' }],
    argument: tristateArgument,
    group: 'Host',
    since: '0.3',
    help: 'Give the machine a vsock device',
    man: [
      'Whether the machine gets an AF_VSOCK device, by which the guest says that it is ready and one can log in by SSH. `auto`, the default, gives it one if `/dev/vhost-vsock` can be opened; `yes` insists on one.',
      'Where the kernel has none, the program `vhost-device-vsock` (Debian package vhost-device-vsock) serves the device, if it is installed: with `auto` only for an image or a directory whose system can be told to report, since its memory is shared with the daemon then. The guest is not reached by AF_VSOCK in that case, but through the socket `vsock` in the runtime directory, to which one writes `CONNECT PORT` first. If the daemon dies, the machine goes on, with a warning.',
    ],
    key: 'Vsock',
    effect: setting((settings, value, place) => {
      settings.vsock = parseTristate(value, place);
    }),
  },
  {
    name: 'vsock-cid',
    argument: { placeholder: 'CID', words: [], files: false },
    group: 'Host',
    since: '0.3',
    help: 'Number of the machine among vsock addresses',
    man: [
      "The CID of the machine's AF_VSOCK device, from 3 to 4294967294, decimal or hexadecimal with `0x`. By default, and with an empty value, it is made from the host's machine ID and the machine's name, so that it stays the same. If another machine of the host has it, the next of 16 that are made so is taken; one that is given here and taken is an error. With `vhost-device-vsock` each machine has its numbers for itself.",
      '    vmspawn --image=debian.raw --vsock-cid=42',
    ],
    key: 'VsockCid',
    effect: setting((settings, value, place) => {
      const number = /^(?:[0-9]{1,10}|0x[0-9a-fA-F]{1,8})$/.test(value) ? Number(value) : Number.NaN;
      if (value !== '' && !(number >= 3 && number <= 0xfffffffe))
        throw refuse(place, value, 'is no CID from 3 to 4294967294');
      settings.vsockCid = value === '' ? null : number;
    }),
  },
  {
    name: 'tpm',
    argument: tristateArgument,
    group: 'Host',
    since: '0.1',
    help: 'Give the machine a TPM 2.0 (needs swtpm)',
    man: [
      'Whether the machine has a TPM 2.0, which the program `swtpm` provides. `auto`, the default, goes on without one where swtpm is missing, and says so. `yes` fails in that case. `no` leaves it out.',
    ],
    key: 'Tpm',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.tpm = parseTristate(value, place);
    }),
  },
  {
    name: 'tpm-state',
    argument: stateArgument,
    group: 'Host',
    since: '0.1',
    help: 'Where the TPM keeps its state between runs',
    man: [
      "The directory that holds the TPM's state. `auto` or `yes`, the default, is the image's path with `.tpmstate` appended, so that what the guest sealed to its TPM opens again in the next run; without an image there is no such place and the state is thrown away. `no` or an empty value throws the state away at the end of each run. Anything else is a path and must hold a slash: write `./state` for a directory of that name in the working directory.",
      'The directory is made when it is missing, for its owner only. It is refused when it is a link, belongs to another user, can be written to by others, or holds other files than those of a TPM; and where any directory on the way to it belongs to another user than root or the one who runs vmspawn, or can be written to by everybody or a foreign group, unless it has the sticky bit. For root, directories of the owner of the image or tree, or of the directory that it lies in, are as good as those of root. One state serves one running machine at a time.',
    ],
    key: 'TpmState',
    harmless: 'unless-path',
    effect: setting((settings, value, place) => {
      settings.tpmState = parseStatePath(value, place);
    }),
  },
];
