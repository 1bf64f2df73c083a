import type { FirmwareDescriptor } from '../../src/firmware/descriptor.ts';
import type { HostFacts, MachinedFacts, ManagerFacts } from '../../src/host/facts.ts';
import type { DirectoryFacts, ImageFacts, ImageLayer, TreeFacts } from '../../src/image/facts.ts';
import { type Settings, type SettingsInput, settingsSchema } from '../../src/settings/settings.ts';

/** Settings with defaults, as the command line would give them. */
export function settings(input: SettingsInput = {}): Settings {
  return settingsSchema.parse(input);
}

export function layer(change: Partial<ImageLayer> = {}): ImageLayer {
  return {
    path: '/images/debian.raw',
    format: 'raw',
    type: 'file',
    identity: '65024:4711',
    size: 3 * 1024 ** 3,
    virtualSize: 3 * 1024 ** 3,
    writable: true,
    dataFile: null,
    oldQcow2: false,
    ...change,
  };
}

export const rawImage: ImageFacts = { layers: [layer()], looksLike: null };

export const qcow2Chain: ImageFacts = {
  layers: [
    layer({ path: '/images/top.qcow2', format: 'qcow2', identity: '65024:1' }),
    layer({ path: '/images/middle.qcow2', format: 'qcow2', identity: '65024:2', writable: false }),
    layer({ path: '/images/base.raw', identity: '65024:3', writable: false }),
  ],
  looksLike: null,
};

function flash(name: string, code: string, features: readonly string[]): FirmwareDescriptor {
  return {
    path: `/usr/share/qemu/firmware/${name}.json`,
    description: `UEFI firmware ${name}`,
    interfaceTypes: ['uefi'],
    mapping: {
      device: 'flash',
      mode: 'split',
      executable: { filename: `/usr/share/OVMF/${code}.fd`, format: 'raw' },
      nvramTemplate: { filename: `/usr/share/OVMF/${code.replace('CODE', 'VARS')}.fd`, format: 'raw' },
    },
    targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }],
    features,
    tags: [],
  };
}

export const enrolled = flash('40-enrolled', 'OVMF_CODE_4M.ms', [
  'acpi-s3',
  'enrolled-keys',
  'requires-smm',
  'secure-boot',
]);
export const secure = flash('50-secure', 'OVMF_CODE_4M.secboot', ['acpi-s3', 'requires-smm', 'secure-boot']);
export const plain = flash('60-plain', 'OVMF_CODE_4M', ['acpi-s3']);

export const stateless: FirmwareDescriptor = {
  ...plain,
  path: '/usr/share/qemu/firmware/70-stateless.json',
  mapping: {
    device: 'flash',
    mode: 'stateless',
    executable: { filename: '/usr/share/OVMF/OVMF.stateless.fd', format: 'qcow2' },
  },
};

export const inMemory: FirmwareDescriptor = {
  ...plain,
  path: '/usr/share/qemu/firmware/80-memory.json',
  mapping: { device: 'memory', filename: '/usr/share/ovmf/OVMF.fd' },
};

export const seabios: FirmwareDescriptor = {
  ...plain,
  path: '/usr/lib/vmspawn/firmware/90-seabios.json',
  interfaceTypes: ['bios'],
  mapping: { device: 'memory', filename: '/usr/share/seabios/bios-256k.bin' },
  features: [],
};

/** A Debian 12 host with everything installed and no KVM that works, root. */
export const debian12: HostFacts = {
  architecture: 'x86_64',
  identity: {
    runtimeBase: '/run/vmspawn',
    lockDirectory: '/run/vmspawn/.lock',
    descriptorLimit: { soft: 1024, hard: 524288 },
  },
  machineSeed: '0123456789abcdef'.repeat(4),
  runId: 'f0e1d2c3-b4a5-4687-8869-5a4b3c2d1e0f',
  kvm: { usable: false, reason: '/dev/kvm does not exist' },
  vsock: { usable: false, reason: '/dev/vhost-vsock does not exist' },
  vsockDaemon: { usable: false, reason: 'vhost-device-vsock is not installed' },
  qemu: {
    usable: true,
    binary: '/usr/bin/qemu-system-x86_64',
    version: [7, 2, 22],
    machines: [
      { name: 'pc-q35-7.2', alias: 'q35' },
      { name: 'pc-i440fx-7.2', alias: 'pc' },
    ],
    devices: ['pvpanic', 'virtio-blk-pci', 'tpm-tis', 'nvme', 'virtio-scsi-pci', 'scsi-hd', 'scsi-cd'],
    accelerators: ['kvm', 'tcg'],
    sandbox: true,
    schema: [],
  },
  swtpm: { usable: true, binary: '/usr/bin/swtpm', setup: '/usr/bin/swtpm_setup', version: [0, 7, 1] },
  manager: { usable: false, reason: 'systemd does not run this host' },
  childCommand: ['/usr/lib/vmspawn/dist/vmspawn-child'],
  firmware: {
    named: null,
    descriptors: [enrolled, secure, plain, stateless, inMemory, seabios],
    problems: [],
  },
  image: rawImage,
  kernel: null,
  initrds: [],
  terminal: { graphical: true, term: 'xterm-256color', interactive: true },
  extraQemuArguments: [],
  sharing: null,
  tree: null,
  holders: [],
  binds: [],
  rootPartition: null,
  extraDrives: [],
  ioUring: true,
  loadedCredentials: [],
  network: { mac: null, vhost: false },
  node: '/usr/bin/node',
  sshProxy: { vsock: false, vsockMux: false },
};

export const withKvm: HostFacts = { ...debian12, kvm: { usable: true, device: '/dev/kvm' } };

/** Debian testing: another machine version, qcow2 options that 7.2 lacks. */
export const forky: HostFacts = {
  ...withKvm,
  vsock: { usable: true, device: '/dev/vhost-vsock', taken: [] },
  qemu: {
    usable: true,
    binary: '/usr/bin/qemu-system-x86_64',
    version: [11, 0, 0],
    machines: [{ name: 'pc-q35-11.0', alias: 'q35' }],
    devices: ['pvpanic', 'virtio-blk-pci', 'tpm-tis', 'vhost-user-fs-pci', 'nvme'],
    accelerators: ['kvm', 'tcg'],
    sandbox: true,
    schema: ['discard-no-unref', 'io_uring'],
  },
};

/** machined of systemd 252, which has no varlink; of 257, which has no control addresses; and of 262. */
export const machined = {
  v252: { via: 'dbus', allocatesUnits: false, controlAddress: false },
  v257: { via: 'varlink', allocatesUnits: true, controlAddress: false },
  v262: { via: 'varlink', allocatesUnits: true, controlAddress: true },
} as const;

/** A host whose service manager is systemd, with a machined of some version, or none. */
export function managed(
  host: HostFacts,
  version: keyof typeof machined | null,
  change: Partial<ManagerFacts> = {},
): HostFacts {
  const kind = change.kind ?? 'system';
  const run = kind === 'system' ? '/run' : '/run/user/1000';
  const facts: MachinedFacts | null =
    version === null ? null : { ...machined[version], socket: `${run}/systemd/machine/io.systemd.Machine` };
  return {
    ...host,
    identity: { ...host.identity, runtimeBase: `${run}/vmspawn` },
    manager: {
      usable: true,
      kind,
      bus: kind === 'system' ? 'unix:path=/run/dbus/system_bus_socket' : 'unix:path=/run/user/1000/bus',
      sameMounts: true,
      ownUnit: 'session-1.scope',
      machined:
        facts === null
          ? { usable: false, reason: 'systemd-machined cannot be started (not found)' }
          : { usable: true, ...facts },
      ...change,
    },
  };
}

/** A container: no terminal, no TPM emulator, no firmware, an ordinary user. */
export const bare: HostFacts = {
  ...debian12,
  identity: {
    runtimeBase: '/run/user/1000/vmspawn',
    lockDirectory: '/run/user/1000/vmspawn/.lock',
    descriptorLimit: { soft: 1024, hard: 1024 },
  },
  swtpm: { usable: false, reason: 'swtpm is not installed (Debian package swtpm)' },
  firmware: { named: null, descriptors: [], problems: [] },
  terminal: { graphical: false, term: null, interactive: false },
};

export const arm: HostFacts = {
  ...withKvm,
  architecture: 'aarch64',
  qemu: {
    usable: true,
    binary: '/usr/bin/qemu-system-aarch64',
    version: [10, 0, 0],
    machines: [{ name: 'virt-10.0', alias: 'virt' }],
    devices: ['tpm-tis-device'],
    accelerators: ['kvm', 'tcg'],
    sandbox: true,
    schema: [],
  },
  firmware: {
    named: null,
    descriptors: [
      {
        ...plain,
        path: '/usr/share/qemu/firmware/60-edk2-aarch64.json',
        targets: [{ architecture: 'aarch64', machines: ['virt-*'] }],
      },
    ],
    problems: [],
  },
};

export const kernel = {
  pe: { path: '/boot/vmlinuz', type: 'pe', size: 8_000_000 },
  uki: { path: '/boot/linux.efi', type: 'uki', size: 30_000_000 },
  other: { path: '/boot/vmlinux', type: 'other', size: 50_000_000 },
} as const;

export const directory: DirectoryFacts = { path: '/srv/data', identity: '65024:5', uid: 0 };

/** A tree as mmdebstrap makes it: a kernel and no boot loader. */
export const tree: TreeFacts = {
  path: '/var/lib/machines/debian',
  identity: '65024:6',
  uid: 0,
  boot: {
    kernel: '/var/lib/machines/debian/boot/vmlinuz-6.12',
    initrds: ['/var/lib/machines/debian/boot/initrd.img-6.12'],
    options: [],
    source: '/boot/vmlinuz-6.12',
    virtiofs: 'yes',
  },
  copyPlace: null,
  systemd: 257,
  subvolume: false,
};

/** The tree with a place for a throw-away copy. */
export const copiedTree: TreeFacts = {
  ...tree,
  copyPlace: { usable: true, directory: '/var/lib/machines' },
};

/** The tree with another kernel. */
export function withVirtiofs(virtiofs: NonNullable<TreeFacts['boot']>['virtiofs']): TreeFacts {
  return { ...tree, boot: tree.boot === null ? null : { ...tree.boot, virtiofs } };
}

export const entry: TreeFacts['boot'] = {
  kernel: '/var/lib/machines/debian/boot/x/linux',
  initrds: [],
  options: ['root=UUID=1', 'ro', 'rootflags=discard', 'lockdown=integrity'],
  source: '/boot/loader/entries/x.conf',
  virtiofs: null,
};

/** One read-only, with what daemons, shells and systemd take for something else. */
export const twoBinds = [
  { source: '/srv/data', target: '/data', readOnly: false },
  { source: '/srv/a,b\\c $d', target: '/mnt/a b', readOnly: true },
];

type Sharing = NonNullable<HostFacts['sharing']>;

export const daemonRust: Sharing['virtiofsd'] = {
  usable: true,
  binary: '/usr/libexec/virtiofsd',
  dialect: 'rust',
  version: '1.13.2',
  readOnly: true,
  translate: true,
};

export const daemonC: Sharing['virtiofsd'] = {
  usable: true,
  binary: '/usr/lib/qemu/virtiofsd',
  dialect: 'c',
  version: '7.2.22',
  readOnly: false,
  translate: false,
};

export const noDaemon: Sharing['virtiofsd'] = {
  usable: false,
  reason: 'virtiofsd is not installed (Debian package virtiofsd, in Debian 12 qemu-system-common)',
};

/** An ordinary user of Debian, with the package uidmap. */
export const user: NonNullable<Sharing['user']> = {
  uid: 1000,
  gid: 1000,
  groups: true,
  namespaces: true,
  subordinate: { uids: { base: 100000, count: 65536 }, gids: { base: 100000, count: 65536 } },
};
