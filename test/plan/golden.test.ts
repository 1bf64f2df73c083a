import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { VmspawnError } from '../../src/errors.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import { vsockCids } from '../../src/plan/identity.ts';
import { planAsJson } from '../../src/plan/json.ts';
import { makePlan } from '../../src/plan/make-plan.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { renderArguments } from '../../src/qemu/arguments.ts';
import type { DiskType, Settings, SettingsInput } from '../../src/settings/settings.ts';
import * as hosts from './hosts.ts';
import { managed, settings } from './hosts.ts';

const directory = asset('test', 'golden', 'plans');
const update = process.env['UPDATE_GOLDEN'] === '1';

interface Case {
  readonly host: HostFacts;
  readonly settings?: SettingsInput;
  readonly machine?: string;
}

const { debian12, withKvm, forky, bare, arm, kernel } = hosts;
const direct = (type: keyof typeof kernel, host = debian12): HostFacts => ({
  ...host,
  image: null,
  kernel: kernel[type],
});
const linux = { linux: '/boot/vmlinuz' };

const cases: { readonly [name: string]: Case } = {
  default: { host: debian12 },
  'default-kvm': { host: withKvm },
  'default-forky': { host: forky },
  'default-aarch64': { host: arm },
  'aarch64-no-tpm': { host: arm, settings: { tpm: false } },
  'machine-name': { host: debian12, machine: 'web-1.example' },
  uuid: { host: debian12, settings: { uuid: '11111111-2222-3333-4444-555555555555' } },
  cpus: { host: debian12, settings: { cpus: 4 } },
  ram: { host: debian12, settings: { ram: { size: 512 * 1024 ** 2, max: null, slots: null } } },
  'ram-hotplug': { host: debian12, settings: { ram: { size: 1024 ** 3, max: 4 * 1024 ** 3, slots: 2 } } },
  'kvm-yes': { host: withKvm, settings: { kvm: true } },
  'kvm-no': { host: withKvm, settings: { kvm: false } },
  'kvm-yes-unusable': { host: debian12, settings: { kvm: true } },
  'kvm-not-built-in': {
    host: {
      ...withKvm,
      qemu: { ...qemuOf(withKvm), accelerators: ['tcg'] },
    },
  },
  'kvm-passed': {
    host: { ...forky, kvm: { usable: true, device: '/dev/kvm', passed: { fd: 4, opens: false } } },
  },
  'kvm-passed-old-qemu': {
    host: { ...withKvm, kvm: { usable: true, device: '/dev/kvm', passed: { fd: 4, opens: true } } },
  },
  'kvm-passed-old-qemu-closed': {
    host: { ...withKvm, kvm: { usable: true, device: '/dev/kvm', passed: { fd: 4, opens: false } } },
    settings: { kvm: true },
  },
  'vsock-passed': {
    host: { ...forky, vsock: { usable: true, device: '/dev/vhost-vsock', passed: 5, taken: [] } },
    settings: { vsock: true },
  },
  'vsock-yes': { host: forky, settings: { vsock: true } },
  'vsock-yes-missing': { host: debian12, settings: { vsock: true } },
  'tpm-no': { host: debian12, settings: { tpm: false } },
  'tpm-yes': { host: debian12, settings: { tpm: true } },
  'tpm-yes-missing': { host: { ...debian12, swtpm: bare.swtpm }, settings: { tpm: true } },
  'tpm-auto-missing': { host: { ...debian12, swtpm: bare.swtpm } },
  'tpm-state-off': { host: debian12, settings: { tpmState: 'off' } },
  'tpm-state-path': { host: debian12, settings: { tpmState: { path: '/var/lib/tpm,1' } } },
  'tpm-no-setup': {
    host: {
      ...debian12,
      swtpm: { usable: true, binary: '/usr/bin/swtpm', setup: null, version: [0, 7, 1] },
    },
  },
  'nvram-off': { host: debian12, settings: { efiNvramState: 'off' } },
  'nvram-path': { host: debian12, settings: { efiNvramState: { path: '/var/lib/vars.fd' } } },
  'nvram-template': { host: debian12, settings: { efiNvramTemplate: '/tmp/VARS.fd' } },
  'nvram-template-not-kept': {
    host: debian12,
    settings: { efiNvramTemplate: '/tmp/VARS.fd', efiNvramState: 'off' },
  },
  'secure-boot-yes': { host: debian12, settings: { secureBoot: true } },
  'secure-boot-no': { host: debian12, settings: { secureBoot: false } },
  'secure-boot-bios': { host: debian12, settings: { secureBoot: true, firmware: 'bios' } },
  'enrolled-keys': {
    host: debian12,
    settings: { firmwareFeatures: { include: ['enrolled-keys'], exclude: [], list: false } },
  },
  'feature-unknown': {
    host: debian12,
    settings: { firmwareFeatures: { include: ['amd-sev'], exclude: [], list: false } },
  },
  'firmware-uefi': { host: debian12, settings: { firmware: 'uefi' } },
  'firmware-bios': { host: debian12, settings: { firmware: 'bios' } },
  'firmware-bios-words': { host: debian12, settings: { firmware: 'bios', kernelCommandLine: ['quiet'] } },
  'firmware-none-no-kernel': { host: debian12, settings: { firmware: 'none' } },
  'firmware-none-installed': { host: { ...debian12, firmware: bare.firmware } },
  'firmware-named-memory': named(hosts.inMemory),
  'firmware-named-stateless': named(hosts.stateless),
  'firmware-named-not-secure': named(hosts.plain, { secureBoot: true }),
  'firmware-named-secure': named(hosts.enrolled, { secureBoot: true }),
  'firmware-named-bios': named(hosts.seabios),
  'firmware-named-template': named(hosts.inMemory, { efiNvramTemplate: '/tmp/VARS.fd' }),
  'linux-pe': { host: direct('pe'), settings: linux },
  'linux-pe-none': { host: direct('pe'), settings: { ...linux, firmware: 'none' } },
  'linux-pe-bios': { host: direct('pe'), settings: { ...linux, firmware: 'bios' } },
  'linux-pe-no-firmware': { host: direct('pe', bare), settings: linux },
  'linux-uki': { host: direct('uki'), settings: { linux: '/boot/linux.efi' } },
  'linux-uki-bios': { host: direct('uki'), settings: { linux: '/boot/linux.efi', firmware: 'bios' } },
  'linux-other': { host: direct('other'), settings: { linux: '/boot/vmlinux' } },
  'linux-other-uefi': { host: direct('other'), settings: { linux: '/boot/vmlinux', firmware: 'uefi' } },
  'linux-initrd': {
    host: { ...direct('pe'), initrds: [{ path: '/boot/initrd', size: 1 }] },
    settings: { ...linux, initrd: ['/boot/initrd'], firmware: 'none' },
  },
  'linux-two-initrds': {
    host: {
      ...direct('pe'),
      initrds: [
        { path: '/boot/initrd', size: 1 },
        { path: '/boot/extra', size: 1 },
      ],
    },
    settings: { ...linux, initrd: ['/boot/initrd', '/boot/extra'], firmware: 'none' },
  },
  'linux-with-image': {
    host: { ...debian12, kernel: kernel.pe },
    settings: { ...linux, kernelCommandLine: ['root=/dev/vda2', 'rw'] },
  },
  'initrd-without-kernel': { host: debian12, settings: { initrd: ['/boot/initrd'] } },
  words: { host: debian12, settings: { kernelCommandLine: ['quiet', 'a=b,c'] } },
  'words-too-long': { host: debian12, settings: { kernelCommandLine: ['x'.repeat(2048)] } },
  'console-read-only': { host: debian12, settings: { console: 'read-only' } },
  'console-native': { host: debian12, settings: { console: 'native' } },
  'console-gui': { host: debian12, settings: { console: 'gui' } },
  'console-gui-without-a-desktop': {
    host: { ...debian12, terminal: bare.terminal },
    settings: { console: 'gui' },
  },
  'manager-252': { host: managed(debian12, 'v252') },
  'manager-257': { host: managed(debian12, 'v257') },
  'manager-262': { host: managed(forky, 'v262') },
  'manager-262-slice-property': {
    host: managed(forky, 'v262'),
    settings: { slice: 'vms.slice', properties: [{ name: 'MemoryMax', value: '1G' }] },
  },
  'manager-262-scope-dbus': { host: managed(forky, 'v262'), settings: { scope: 'dbus' } },
  'manager-257-scope-varlink': { host: managed(debian12, 'v257'), settings: { scope: 'varlink' } },
  'manager-252-scope-varlink': { host: managed(debian12, 'v252'), settings: { scope: 'varlink' } },
  'manager-scope-varlink-unregistered': {
    host: managed(forky, 'v262'),
    settings: { scope: 'varlink', register: false },
  },
  'manager-no-machined': { host: managed(debian12, null) },
  'manager-no-machined-register': { host: managed(debian12, null), settings: { register: true } },
  'manager-register-no': { host: managed(forky, 'v262'), settings: { register: false } },
  'manager-register-yes': { host: managed(forky, 'v262'), settings: { register: true } },
  'manager-no-ask-password': { host: managed(forky, 'v262'), settings: { askPassword: false } },
  'manager-vsock': { host: managed(forky, 'v262'), settings: { vsock: true } },
  'manager-user-262': { host: managed(forky, 'v262', { kind: 'user' }) },
  'manager-user-252': { host: managed(debian12, null, { kind: 'user' }) },
  'manager-other-mounts': { host: managed(debian12, 'v262', { sameMounts: false }) },
  'manager-shutdown-timeout-infinity': { host: managed(forky, 'v262'), settings: { shutdownTimeout: null } },
  'keep-unit': {
    host: managed(forky, 'v262', { ownUnit: 'vmspawn@x.service' }),
    settings: { keepUnit: true },
  },
  'keep-unit-outside': { host: managed(forky, 'v262', { ownUnit: null }), settings: { keepUnit: true } },
  'register-yes-without-manager': { host: debian12, settings: { register: true } },
  'slice-without-manager': { host: debian12, settings: { slice: 'a.slice' } },
  'manager-user': { host: debian12, settings: { manager: 'user' } },
  'console-serial': { host: debian12, settings: { console: 'read-only', consoleTransport: 'serial' } },
  'console-serial-aarch64': { host: arm, settings: { consoleTransport: 'serial' } },
  'console-serial-native': { host: debian12, settings: { console: 'native', consoleTransport: 'serial' } },
  'console-headless': { host: debian12, settings: { console: 'headless' } },
  'property-unknown': { host: debian12, settings: { properties: [{ name: 'MemoryMaximum', value: '1G' }] } },
  'property-type': { host: debian12, settings: { properties: [{ name: 'MemoryMax', value: 'lots' }] } },
  'property-slice': { host: debian12, settings: { properties: [{ name: 'Slice', value: 'a.slice' }] } },
  'keep-unit-slice': { host: debian12, settings: { keepUnit: true, slice: 'a.slice' } },
  'keep-unit-property': {
    host: debian12,
    settings: { keepUnit: true, properties: [{ name: 'MemoryMax', value: '1G' }] },
  },
  'scope-varlink-slice': { host: debian12, settings: { scope: 'varlink', slice: 'a.slice' } },
  'scope-varlink-property': {
    host: debian12,
    settings: { scope: 'varlink', properties: [{ name: 'MemoryMax', value: '1G' }] },
  },
  'no-terminal': { host: bare, settings: { firmware: 'bios' } },
  'network-user': { host: debian12, settings: { network: ['user'] } },
  'network-user-aarch64': { host: arm, settings: { network: ['user'] } },
  'notify-ready-yes': { host: debian12, settings: { notifyReady: true } },
  'notify-ready-no': { host: debian12, settings: { notifyReady: false } },
  'qemu-arg': {
    host: { ...debian12, extraQemuArguments: ['-watchdog-action', 'pause'] },
    settings: { qemuArguments: ['-device', 'edu'] },
  },
  'no-sandbox': { host: { ...debian12, qemu: { ...qemuOf(debian12), sandbox: false } } },
  'no-qemu': { host: { ...debian12, qemu: { usable: false, reason: 'no qemu-system-x86_64 in $PATH' } } },
  'qcow2-chain': { host: { ...debian12, image: hosts.qcow2Chain } },
  'qcow2-old-forky': {
    host: {
      ...forky,
      image: { ...hosts.qcow2Chain, layers: [hosts.layer({ format: 'qcow2', oldQcow2: true })] },
    },
  },
  'qcow2-chain-forky': { host: { ...forky, image: hosts.qcow2Chain } },
  'block-device': {
    host: {
      ...debian12,
      image: { layers: [hosts.layer({ path: '/dev/sdb', type: 'block' })], looksLike: null },
    },
  },
  'image-not-writable': {
    host: { ...debian12, image: { layers: [hosts.layer({ writable: false })], looksLike: null } },
  },
  'image-looks-like-qcow2': {
    host: { ...debian12, image: { ...hosts.rawImage, looksLike: 'qcow2' } },
  },
  'image-data-file': {
    host: {
      ...debian12,
      image: {
        layers: [hosts.layer({ format: 'qcow2', dataFile: '/images/data.raw' })],
        looksLike: null,
      },
    },
  },
  'image-long-name': {
    host: {
      ...debian12,
      image: {
        layers: [hosts.layer({ path: '/images/a-name-that-is-too-long-for-a-serial.raw' })],
        looksLike: null,
      },
    },
  },
  'socket-path-too-long': {
    host: {
      ...debian12,
      identity: { ...debian12.identity, runtimeBase: `/run/${'x'.repeat(90)}/vmspawn` },
    },
  },
  user: { host: { ...debian12, identity: bare.identity } },
  'root-partition': {
    host: {
      ...debian12,
      kernel: kernel.pe,
      rootPartition: { kind: 'root', uuid: '8c3f8a58-3c1b-4a1e-9a0d-3f1c6e0b7d13', readOnly: false },
    },
    settings: { ...linux, firmware: 'none', kernelCommandLine: ['quiet'] },
  },
  'root-partition-cd': {
    host: {
      ...debian12,
      kernel: kernel.pe,
      rootPartition: { kind: 'root', uuid: '8c3f8a58-3c1b-4a1e-9a0d-3f1c6e0b7d13', readOnly: false },
    },
    settings: { ...linux, firmware: 'none', imageDiskType: 'scsi-cd', ephemeral: true },
  },
  'root-partition-said': {
    host: {
      ...debian12,
      kernel: kernel.pe,
      rootPartition: { kind: 'root', uuid: '8c3f8a58-3c1b-4a1e-9a0d-3f1c6e0b7d13', readOnly: false },
    },
    settings: { ...linux, firmware: 'none', kernelCommandLine: ['root=/dev/vda2'] },
  },
  'bind-c': sharing(hosts.daemonC, null, { binds: hosts.twoBinds }),
  'bind-rust': sharing(hosts.daemonRust, null, { binds: hosts.twoBinds }),
  'bind-rust-user': sharing(hosts.daemonRust, hosts.user, { binds: hosts.twoBinds }),
  'bind-rust-user-no-namespaces': sharing(
    hosts.daemonRust,
    { ...hosts.user, namespaces: false },
    { binds: hosts.twoBinds },
  ),
  'bind-c-user': sharing(hosts.daemonC, hosts.user, { binds: hosts.twoBinds }),
  'bind-c-user-closed': closedBind(hosts.daemonC, 100_998),
  'bind-c-user-closed-foreign': closedBind(hosts.daemonC, 0),
  'bind-rust-user-closed': closedBind(hosts.daemonRust, 100_998),
  'bind-c-user-groups': sharing(
    hosts.daemonC,
    { ...hosts.user, subordinate: null },
    { binds: hosts.twoBinds },
  ),
  'bind-c-user-no-namespaces': sharing(
    hosts.daemonC,
    { ...hosts.user, namespaces: false },
    { binds: hosts.twoBinds },
  ),
  'bind-managed': ((one) => ({ ...one, host: managed(one.host, 'v262') }))(
    sharing(hosts.daemonRust, null, { binds: hosts.twoBinds }),
  ),
  'bind-managed-user': ((one) => ({ ...one, host: managed(one.host, 'v262', { kind: 'user' }) }))(
    sharing(hosts.daemonRust, hosts.user, { binds: hosts.twoBinds }),
  ),
  'bind-own-fstab': sharing(hosts.daemonRust, null, {
    binds: hosts.twoBinds,
    credentials: [
      {
        name: 'fstab.extra',
        fromFile: false,
        source: { kind: 'secret', base64: Buffer.from('a /a tmpfs').toString('base64') },
      },
    ],
  }),
  'own-dropin': {
    host: {
      ...debian12,
      loadedCredentials: [
        { name: 'systemd.unit-dropin.multi-user.target', kind: 'file', path: '/etc/dropin', size: 20 },
      ],
    },
    settings: {
      credentials: [
        {
          name: 'systemd.unit-dropin.multi-user.target',
          fromFile: false,
          source: { kind: 'load', path: '/etc/dropin' },
        },
      ],
    },
  },
  'bind-no-daemon': sharing(hosts.noDaemon, null, { binds: hosts.twoBinds }),
  'bind-no-device': {
    host: { ...debian12, binds: [hosts.directory], qemu: { ...qemuOf(debian12), devices: [] } },
    settings: { binds: hosts.twoBinds },
  },
  'directory-c': sharing(hosts.daemonC, null, {}, hosts.tree),
  'directory-ephemeral': sharing(
    hosts.daemonRust,
    null,
    { ephemeral: true, tpm: true, shutdownTimeout: 5_000 },
    hosts.copiedTree,
  ),
  'directory-ephemeral-managed': ((one) => ({ ...one, host: managed(one.host, 'v262') }))(
    sharing(hosts.daemonRust, null, { ephemeral: true }, { ...hosts.copiedTree, subvolume: true }),
  ),
  'directory-ephemeral-user': sharing(
    hosts.daemonRust,
    hosts.user,
    { ephemeral: true },
    {
      ...hosts.copiedTree,
      uid: 1000,
    },
  ),
  'directory-ephemeral-user-subordinate': sharing(
    hosts.daemonRust,
    hosts.user,
    { ephemeral: true },
    {
      ...hosts.copiedTree,
      uid: 100000,
    },
  ),
  'directory-ephemeral-no-place': sharing(
    hosts.daemonRust,
    null,
    { ephemeral: true },
    {
      ...hosts.tree,
      copyPlace: { usable: false, reason: '/srv cannot be written to; /var/tmp lies in memory' },
    },
  ),
  'directory-entry-words': sharing(
    hosts.daemonC,
    null,
    { kernelCommandLine: ['quiet'] },
    {
      ...hosts.tree,
      boot: hosts.entry,
    },
  ),
  'directory-module': sharing(hosts.daemonC, null, {}, hosts.withVirtiofs('module')),
  'directory-no-virtiofs': sharing(hosts.daemonC, null, {}, hosts.withVirtiofs('no')),
  'directory-own-root': sharing(hosts.daemonC, null, { kernelCommandLine: ['root=/dev/vda'] }, hosts.tree),
  'directory-shifted-rust': sharing(hosts.daemonRust, null, {}, { ...hosts.tree, uid: 100000 }),
  'directory-shifted-c': sharing(hosts.daemonC, null, {}, { ...hosts.tree, uid: 100000 }),
  'directory-private-users': sharing(
    hosts.daemonRust,
    null,
    { privateUsers: { base: 524288, count: 1000 } },
    hosts.tree,
  ),
  'directory-user': sharing(hosts.daemonRust, hosts.user, {}, { ...hosts.tree, uid: 1000 }),
  'directory-user-subordinate': sharing(hosts.daemonRust, hosts.user, {}, { ...hosts.tree, uid: 100000 }),
  'directory-user-one': sharing(
    hosts.daemonRust,
    hosts.user,
    { privateUsers: { base: 1000, count: 1 } },
    { ...hosts.tree, uid: 1000 },
  ),
  'directory-user-not-ours': sharing(hosts.daemonRust, hosts.user, {}, hosts.tree),
  'disk-type-nvme': { host: debian12, settings: { imageDiskType: 'nvme' } },
  'disk-type-virtio-scsi': { host: debian12, settings: { imageDiskType: 'virtio-scsi', discardDisk: false } },
  'disk-type-scsi-cd': {
    host: { ...debian12, image: { layers: [hosts.layer({ writable: false })], looksLike: null } },
    settings: { imageDiskType: 'scsi-cd' },
  },
  'disk-type-missing': { host: forky, settings: { imageDiskType: 'virtio-scsi' } },
  'drives-of-all-types': drives(forkyWithScsi(), [
    ['data.raw', 'virtio-blk'],
    ['data2.raw', 'virtio-scsi'],
    ['seed.iso', 'scsi-cd'],
    ['fast.raw', 'nvme'],
    ['other/data.raw', null],
  ]),
  'drives-without-image': drives({ ...direct('pe'), image: null }, [['a.raw', null]], linux),
  'drives-ephemeral': drives(
    { ...debian12, image: hosts.qcow2Chain },
    [
      ['data.raw', null],
      ['seed.iso', 'scsi-cd'],
    ],
    { ephemeral: true },
  ),
  'drives-too-many': drives(debian12, many(112)),
  'drives-as-many-as-there-are-places': drives(debian12, many(111)),
  'drives-twice': drives(debian12, [['debian.raw', null]]),
  'drive-is-backing-file': {
    host: {
      ...debian12,
      image: hosts.qcow2Chain,
      extraDrives: [
        { layers: [hosts.layer({ path: '/images/b.raw', identity: '65024:3' })], looksLike: null },
      ],
    },
    settings: { extraDrives: [{ path: '/images/b.raw', format: null, type: null }] },
  },
  'drive-not-writable': {
    host: {
      ...debian12,
      extraDrives: [
        {
          layers: [hosts.layer({ path: '/images/r.raw', identity: '1:1', writable: false })],
          looksLike: null,
        },
      ],
    },
    settings: { extraDrives: [{ path: '/images/r.raw', format: null, type: null }] },
  },
  'image-vmdk': {
    host: {
      ...debian12,
      image: { layers: [hosts.layer({ path: '/images/a.vmdk', format: 'vmdk' })], looksLike: null },
    },
  },
  ephemeral: { host: debian12, settings: { ephemeral: true } },
  'ephemeral-block-device': {
    host: {
      ...debian12,
      image: { layers: [hosts.layer({ path: '/dev/sdb', type: 'block', writable: false })], looksLike: null },
    },
    settings: { ephemeral: true, growImage: 10 * 1024 ** 3 },
  },
  'ephemeral-state-path': {
    host: debian12,
    settings: { ephemeral: true, tpmState: { path: '/s/tpm' }, efiNvramState: { path: '/s/vars' } },
  },
  'grow-image': { host: debian12, settings: { growImage: 10 * 1024 ** 3 } },
  'grow-image-smaller': { host: debian12, settings: { growImage: 1024 ** 3 } },
  'grow-image-qcow2': {
    host: { ...debian12, image: hosts.qcow2Chain },
    settings: { growImage: 10 * 1024 ** 3 },
  },
  'grow-image-block-device': {
    host: {
      ...debian12,
      image: { layers: [hosts.layer({ path: '/dev/sdb', type: 'block' })], looksLike: null },
    },
    settings: { growImage: 10 * 1024 ** 3 },
  },
  'grow-image-without-image': { host: direct('pe'), settings: { ...linux, growImage: 4096 } },
  'grow-image-directory': sharing(hosts.daemonRust, null, { growImage: 4096 }, hosts.tree),
  'grow-image-cd': { host: debian12, settings: { imageDiskType: 'scsi-cd', growImage: 1024 ** 4 } },
  'network-tap': { host: debian12, settings: { network: ['tap'] } },
  'network-tap-vhost': {
    host: { ...debian12, network: { mac: null, vhost: true } },
    settings: { network: ['user', 'tap'] },
  },
  'network-mac': {
    host: { ...debian12, network: { mac: '52:54:00:12:34:56', vhost: false } },
    settings: { network: ['user', 'tap'] },
  },
  'network-mac-user-mode': {
    host: { ...debian12, network: { mac: '52:54:00:12:34:56', vhost: false } },
    settings: { network: ['user'] },
  },
  'network-tap-long-name': {
    host: debian12,
    settings: { network: ['tap'] },
    machine: 'a-rather-long-name',
  },
  'network-two': {
    host: debian12,
    settings: {
      network: ['tap', 'user'],
      ports: [
        { protocol: 'tcp', address: '127.0.0.1', host: 2222, guest: 22 },
        { protocol: 'udp', address: '0.0.0.0', host: 53, guest: 5353 },
      ],
    },
  },
  'port-without-network': {
    host: debian12,
    settings: {
      network: ['tap'],
      ports: [{ protocol: 'tcp', address: '127.0.0.1', host: 2222, guest: 22 }],
    },
  },
  'port-twice': {
    host: debian12,
    settings: {
      network: ['user'],
      ports: [
        { protocol: 'udp', address: '127.0.0.1', host: 2222, guest: 22 },
        { protocol: 'udp', address: '127.0.0.1', host: 2222, guest: 80 },
      ],
    },
  },
  credentials: {
    host: {
      ...debian12,
      loadedCredentials: [
        { name: 'file', kind: 'file', path: '/etc/secret,1', size: 100 },
        { name: 'socket', kind: 'socket', path: '/run/secret.sock', size: null },
      ],
    },
    settings: {
      credentials: [
        secret('set', 'value'),
        load('file', '/etc/secret,1'),
        load('socket', '/run/secret.sock'),
      ],
      smbios11: ['io.systemd.stub.kernel-cmdline-extra=quiet'],
    },
  },
  'credentials-aarch64': { host: arm, settings: { credentials: [secret('set', 'value')], smbios11: ['a'] } },
  'credentials-aarch64-direct': {
    host: direct('other', arm),
    settings: { ...linux, tpm: false, credentials: [secret('set', 'value')], notifyReady: true },
  },
  'credentials-aarch64-direct-long-name': {
    host: direct('other', arm),
    settings: { ...linux, tpm: false, credentials: [secret('a'.repeat(29), 'value')] },
  },
  'credentials-aarch64-direct-smbios11': {
    host: direct('other', arm),
    settings: { ...linux, tpm: false, smbios11: ['a'] },
  },
  'credentials-bios': {
    host: debian12,
    settings: { firmware: 'bios', credentials: [secret('set', 'value')] },
  },
  'credentials-ours-replaced': {
    host: debian12,
    settings: { credentials: [secret('systemd.extra-unit.vmspawn-ready.service', '[Unit]')] },
  },
  'credentials-address-replaced': {
    host: forky,
    settings: { credentials: [secret('vmm.notify_socket', 'vsock-stream:2:99')] },
  },
  'credentials-ssh-keys-joined': {
    host: debian12,
    settings: {
      passSshKey: true,
      credentials: [
        secret('ssh.authorized_keys.root', 'ssh-ed25519 AAAA'),
        secret('ssh.ephemeral-authorized_keys-all', 'ssh-ed25519 AAAA'),
      ],
    },
  },
  'credentials-more-than-smbios': {
    host: debian12,
    settings: { credentials: [secret('a', 'x'.repeat(45_000))] },
  },
  'credentials-too-large': {
    host: debian12,
    settings: { credentials: [secret('a', 'x'.repeat(1024 ** 2))] },
  },
  'smbios11-too-many': {
    host: debian12,
    settings: { smbios11: Array.from({ length: 254 }, (_, index) => `string ${index}`) },
  },
  'notify-ready-yes-old-tree': sharing(hosts.daemonRust, null, { notifyReady: true }, oldTree(255)),
  'notify-ready-auto-old-tree': sharing(hosts.daemonRust, null, {}, oldTree(255)),
  'notify-ready-yes-old-tree-vsock': withVsock(
    sharing(hosts.daemonRust, null, { notifyReady: true }, oldTree(254)),
  ),
  'notify-ready-yes-oldest-tree-vsock': withVsock(
    sharing(hosts.daemonRust, null, { notifyReady: true }, oldTree(253)),
  ),
  'notify-ready-auto-kvm': { host: withKvm, settings: { notifyReady: 'auto' } },
  'notify-ready-yes-bios-aarch64': {
    host: arm,
    settings: { firmware: 'bios', tpm: false, notifyReady: true },
  },
  'notify-ready-auto-bios-aarch64': { host: arm, settings: { firmware: 'bios', tpm: false } },
  'vsock-auto': { host: { ...forky, sshProxy: { vsock: true, vsockMux: false } } },
  'vsock-cid': { host: forky, settings: { vsockCid: 42 } },
  'vsock-cid-missing': { host: debian12, settings: { vsockCid: 42 } },
  'vsock-no': { host: forky, settings: { vsock: false } },
  'vsock-no-ssh-key': { host: forky, settings: { passSshKey: false } },
  'vsock-cid-taken': { host: taken([42]), settings: { vsockCid: 42 } },
  'vsock-first-taken': { host: taken(vsockCids(forky).slice(0, 1)) },
  'vsock-all-taken': { host: taken(vsockCids(forky)) },
  'vsock-all-taken-yes': { host: taken(vsockCids(forky)), settings: { vsock: true } },
  'vsock-daemon': { host: vsockDaemon(debian12), settings: { passSshKey: true } },
  'vsock-daemon-managed': { host: managed(vsockDaemon(forky), 'v262'), settings: { vsockCid: 42 } },
  'vsock-daemon-kernel-only': { host: vsockDaemon(direct('pe')), settings: { ...linux, firmware: 'none' } },
  'vsock-daemon-kernel-only-yes': {
    host: vsockDaemon(direct('pe')),
    settings: { ...linux, firmware: 'none', vsock: true },
  },
  'vsock-daemon-old-qemu': {
    host: { ...vsockDaemon(debian12), qemu: debian12.qemu },
    settings: { vsock: true },
  },
  'ssh-key-yes': { host: debian12, settings: { passSshKey: true, sshKeyType: 'rsa' } },
  'headless-no-vsock': { host: debian12, settings: { console: 'headless', notifyReady: true } },
};

/** A host whose kernel has vsock, with other machines that have these CIDs. */
function taken(cids: readonly number[]): HostFacts {
  return { ...forky, vsock: { usable: true, device: '/dev/vhost-vsock', taken: cids } };
}

/** A host whose kernel has no vsock for guests, with the daemon and a QEMU for it. */
function vsockDaemon(host: HostFacts): HostFacts {
  const qemu = qemuOf(host);
  return {
    ...host,
    vsock: debian12.vsock,
    vsockDaemon: { usable: true, binary: '/usr/bin/vhost-device-vsock' },
    qemu: { ...qemu, devices: [...qemu.devices, 'vhost-user-vsock-pci'] },
  };
}

/** A host with extra drives below /images, each with an identity of its own except for the image's own file. */
function drives(
  host: HostFacts,
  list: readonly (readonly [name: string, type: DiskType | null])[],
  more: SettingsInput = {},
): Case {
  const path = (name: string) => `/images/${name}`;
  return {
    host: {
      ...host,
      extraDrives: list.map(([name], index) => ({
        layers: [
          hosts.layer({
            path: path(name),
            identity: name === 'debian.raw' ? '65024:4711' : `65024:${100 + index}`,
            virtualSize: 1024 ** 2 + 1,
            writable: !name.endsWith('.iso'),
          }),
        ],
        looksLike: null,
      })),
    },
    settings: {
      ...more,
      extraDrives: list.map(([name, type]) => ({ path: path(name), format: null, type })),
    },
  };
}

function many(count: number): readonly (readonly [name: string, type: null])[] {
  return Array.from({ length: count }, (_, index) => [`d${index}.raw`, null] as const);
}

function forkyWithScsi(): HostFacts {
  const qemu = qemuOf(forky);
  return { ...forky, qemu: { ...qemu, devices: [...qemu.devices, 'virtio-scsi-pci', 'scsi-hd', 'scsi-cd'] } };
}

function secret(name: string, value: string): Settings['credentials'][number] {
  const base64 = Buffer.from(value).toString('base64');
  return { name, source: { kind: 'secret', base64 }, fromFile: false };
}

function load(name: string, path: string): Settings['credentials'][number] {
  return { name, source: { kind: 'load', path }, fromFile: false };
}

function qemuOf(host: HostFacts): HostFacts['qemu'] & { usable: true } {
  assert.ok(host.qemu.usable);
  return host.qemu;
}

/** A host that shares: the tree, when there is one, or the directories of the settings. */
/** With a systemd of that version in it. */
function oldTree(systemd: number): HostFacts['tree'] {
  return { ...hosts.tree, systemd };
}

function withVsock(one: Case): Case {
  const vsock = { usable: true, device: '/dev/vhost-vsock', taken: [] } as const;
  return { ...one, host: { ...one.host, vsock } };
}

function sharing(
  virtiofsd: NonNullable<HostFacts['sharing']>['virtiofsd'],
  user: NonNullable<HostFacts['sharing']>['user'],
  input: SettingsInput,
  tree: HostFacts['tree'] = null,
): Case {
  const host = {
    ...debian12,
    image: tree === null ? debian12.image : null,
    kernel: tree === null ? null : kernel.pe,
    initrds: (tree?.boot?.initrds ?? []).map((path) => ({ path, size: 1 })),
    qemu: { ...qemuOf(debian12), devices: [...qemuOf(debian12).devices, 'vhost-user-fs-pci'] },
    sharing: { virtiofsd, unshare: '/usr/bin/unshare', user },
    tree,
    binds: (input.binds ?? []).map(({ source }) => ({ ...hosts.directory, path: source })),
  };
  return { host, settings: { tpm: false, firmware: tree === null ? 'auto' : 'none', ...input } };
}

/** A directory of the user `uid` that ordinary users may not enter. */
function closedBind(virtiofsd: NonNullable<HostFacts['sharing']>['virtiofsd'], uid: number): Case {
  const open = sharing(virtiofsd, hosts.user, { binds: hosts.twoBinds.slice(0, 1) });
  const binds = open.host.binds.map((found) => ({ ...found, uid, closed: true as const }));
  return { ...open, host: { ...open.host, binds } };
}

function named(descriptor: NonNullable<HostFacts['firmware']['named']>, more: SettingsInput = {}): Case {
  return {
    host: { ...debian12, firmware: { ...debian12.firmware, named: descriptor } },
    settings: { firmware: { path: descriptor.path }, ...more },
  };
}

/** The plan, or null where there is none. */
function planned({ host, settings: input, machine }: Case): Plan | null {
  try {
    return makePlan(settings(input), host, machine ?? 'debian');
  } catch (error) {
    if (error instanceof VmspawnError) return null;
    throw error;
  }
}

/** What a reader of a golden file wants to see: the command line a word a line, then the plan without it. */
function render({ host, settings: input, machine }: Case): string {
  try {
    const plan = makePlan(settings(input), host, machine ?? 'debian');
    const words = renderArguments(plan.qemu.configuration);
    const lines = words.map((word) => (word.startsWith('-') ? word : `    ${word}`));
    const rest = { ...plan, qemu: { ...plan.qemu, configuration: undefined } };
    return `${plan.qemu.binary}\n${lines.join('\n')}\n\n${planAsJson(rest)}`;
  } catch (error) {
    if (!(error instanceof VmspawnError)) throw error;
    return `${error.name}: ${error.message}\n${error.hint ?? '(no hint)'}\n`;
  }
}

for (const [name, value] of Object.entries(cases)) {
  test(`plan ${name} is the golden one`, () => {
    const file = `${directory}/${name}.txt`;
    const text = render(value);
    if (update) {
      mkdirSync(directory, { recursive: true });
      writeFileSync(file, text);
    }
    assert.equal(
      text,
      existsSync(file) ? readFileSync(file, 'utf8') : '(no golden file; run with UPDATE_GOLDEN=1)',
    );
  });
}

test('there is a case for every golden file, and enough of them', () => {
  const files = readdirSync(directory).map((file) => file.replace(/\.txt$/, ''));
  assert.deepEqual(files.sort(), Object.keys(cases).sort());
  assert.ok(files.length >= 60, `${files.length} golden plans`);
});

test('every drive that is written to honours the flushes of its guest, in every plan', () => {
  let writable = 0;
  for (const [name, value] of Object.entries(cases)) {
    const plan = planned(value);
    if (plan === null) continue;
    const { blockNodes, devices } = plan.qemu.configuration;
    for (const node of blockNodes) {
      // Said for drives; pflash has what QEMU does by itself, which is the same.
      const said = node['node-name'].startsWith('disk') ? { direct: false, 'no-flush': false } : undefined;
      assert.deepEqual(node['cache'], said, `${name}: ${node['node-name']}`);
      if (node['read-only'] !== true) writable++;
    }
    for (const device of devices) {
      // A device's own write-cache=off would only say that there is nothing to flush.
      assert.ok(!('write-cache' in device), `${name}: ${device.id}`);
      if ('drive' in device) assert.ok(blockNodes.some((node) => node['node-name'] === device['drive']));
    }
  }
  assert.ok(writable > 100, `${writable}`);
});

test('a plan is plain data: the same after a round trip through JSON', () => {
  const plan = makePlan(settings(), debian12, 'debian');
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
});
