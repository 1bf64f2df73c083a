import type { Action } from '../../src/cli/options/option.ts';
import type { Settings } from '../../src/settings/settings.ts';

/** What the parser makes of one option: the settings that differ from the defaults, or a part of the message. */
export type Case =
  | { readonly words: readonly string[]; readonly settings: Partial<Settings> }
  | { readonly words: readonly string[]; readonly action: Action }
  | { readonly words: readonly string[]; readonly error: string };

const gibibyte = 1024 ** 3;
const mebibyte = 1024 ** 2;

function ram(size: number, max: number | null = null, slots: number | null = null): Partial<Settings> {
  return { ram: { size, max, slots } };
}

function features(include: string[], exclude: string[], list = false): Partial<Settings> {
  return { firmwareFeatures: { include, exclude, list } };
}

function secret(name: string, value: string): Settings['credentials'][number] {
  return {
    name,
    source: { kind: 'secret', base64: Buffer.from(value).toString('base64') },
    fromFile: false,
  };
}

function load(name: string, path: string): Settings['credentials'][number] {
  return { name, source: { kind: 'load', path }, fromFile: false };
}

/** By option; every option must be here. The working directory is /work/dir. */
export const cases: { readonly [option: string]: readonly Case[] } = {
  image: [
    { words: ['--image=/a/b.raw'], settings: { image: '/a/b.raw' } },
    { words: ['--image', 'b.raw'], settings: { image: '/work/dir/b.raw' } },
    { words: ['-i', './b.raw'], settings: { image: '/work/dir/b.raw' } },
    { words: ['-ib.raw'], settings: { image: '/work/dir/b.raw' } },
    { words: ['-i', '../b.raw'], settings: { image: '/work/dir/../b.raw' } },
    { words: ['-i', '~/b.raw'], settings: { image: '/work/dir/~/b.raw' } },
    { words: ['-i', '/a//./b.raw/'], settings: { image: '/a/b.raw' } },
    { words: ['-i', '/'], settings: { image: '/' } },
    { words: ['-i', '--kvm'], settings: { image: '/work/dir/--kvm' } },
    { words: ['-i', 'a.raw', '-i', 'b.raw'], settings: { image: '/work/dir/b.raw' } },
    { words: ['-i', 'a.raw', '--image='], settings: {} },
    { words: ['--image=a=b'], settings: { image: '/work/dir/a=b' } },
    { words: ['--image'], error: 'Option --image needs an argument, PATH.' },
    { words: ['-i'], error: 'Option -i needs an argument, PATH.' },
    { words: ['-i', 'a\0b'], error: '--image=a\0b is no path because it holds a NUL character.' },
  ],
  directory: [
    { words: ['-D', '.'], settings: { directory: '/work/dir' } },
    { words: ['--directory=/a/b/'], settings: { directory: '/a/b' } },
    { words: ['-Da', '--directory='], settings: {} },
    { words: ['--directory'], error: 'Option --directory needs an argument, PATH.' },
    { words: ['-D', 'a\0b'], error: '--directory=a\0b is no path because it holds a NUL character.' },
  ],
  'private-users': [
    { words: ['--private-users=100000'], settings: { privateUsers: { base: 100000, count: 65536 } } },
    { words: ['--private-users=0:1'], settings: { privateUsers: { base: 0, count: 1 } } },
    { words: ['--private-users=1:2', '--private-users='], settings: {} },
    { words: ['--private-users=1:0'], error: '--private-users=1:0 is no range of user numbers.' },
    { words: ['--private-users=4294967290:6'], error: 'is no range of user numbers.' },
    { words: ['--private-users=yes'], error: '--private-users=yes is no range of user numbers.' },
    { words: ['--private-users=:5'], error: '--private-users=:5 is no range of user numbers.' },
  ],
  bind: [
    { words: ['--bind=/a:/b'], settings: { binds: [{ source: '/a', target: '/b', readOnly: false }] } },
    {
      words: ['--bind=a'],
      settings: { binds: [{ source: '/work/dir/a', target: '/work/dir/a', readOnly: false }] },
    },
    {
      words: ['--bind=/a\\:b:/c\\\\d/', '--bind-ro=/e'],
      settings: {
        binds: [
          { source: '/a:b', target: '/c\\d', readOnly: false },
          { source: '/e', target: '/e', readOnly: true },
        ],
      },
    },
    { words: ['--bind=/a', '--bind='], settings: {} },
    { words: ['--bind=/a:b'], error: '--bind=/a:b names no absolute path in the guest.' },
    { words: ['--bind=/a:/b/../c'], error: '--bind=/a:/b/../c names no absolute path in the guest.' },
    { words: ['--bind=/a:/b\nc'], error: 'names no absolute path in the guest.' },
    { words: ['--bind=/a:/b:/c'], error: '--bind=/a:/b:/c is not SRC or SRC:DST.' },
    { words: ['--bind=/a:'], error: '--bind=/a: is not SRC or SRC:DST.' },
    { words: ['--bind=:/a'], error: '--bind=:/a is not SRC or SRC:DST.' },
    { words: ['--bind=/a\\b'], error: '--bind=/a\\b is not SRC or SRC:DST.' },
    { words: ['--bind=/a:/'], error: "--bind=/a:/ would hide the guest's root directory." },
  ],
  'bind-ro': [
    { words: ['--bind-ro=/a:/b'], settings: { binds: [{ source: '/a', target: '/b', readOnly: true }] } },
    { words: ['--bind=/a', '--bind-ro='], settings: {} },
    { words: ['--bind-ro=/'], error: "--bind-ro=/ would hide the guest's root directory." },
  ],
  'image-format': [
    { words: ['--image-format=raw'], settings: { imageFormat: 'raw' } },
    { words: ['--image-format', 'qcow2'], settings: { imageFormat: 'qcow2' } },
    { words: ['--image-format=vmdk'], settings: { imageFormat: 'vmdk' } },
    { words: ['--image-format=vpc'], error: '--image-format=vpc is none of raw, qcow2, vmdk, vdi, vhdx.' },
    { words: ['--image-format='], error: '--image-format= is none of raw, qcow2, vmdk, vdi, vhdx.' },
  ],
  machine: [
    { words: ['-M', 'web-1'], settings: { machine: 'web-1' } },
    { words: ['--machine=a.b.c'], settings: { machine: 'a.b.c' } },
    { words: ['--machine=a', '--machine='], settings: {} },
    { words: [`--machine=${'a'.repeat(63)}`], settings: { machine: 'a'.repeat(63) } },
    { words: [`--machine=${'a'.repeat(64)}`], error: 'is no host name.' },
    { words: [`--machine=${'a.'.repeat(32)}b`], error: 'is longer than the 64 characters of a host name.' },
    ...['a/b', '../a', 'a_b', 'a b', '-a', 'a-', '.a', 'a.', 'a..b', 'a\n', '\u00e4', '=a', '.'].map(
      (name) => ({
        words: [`--machine=${name}`],
        error: `--machine=${name} is no host name.`,
      }),
    ),
  ],
  uuid: [
    {
      words: ['--uuid=3D1BD3F5-6c25-4b9e-a34e-58a1d5b1f5a8'],
      settings: { uuid: '3d1bd3f5-6c25-4b9e-a34e-58a1d5b1f5a8' },
    },
    {
      words: ['--uuid', '3d1bd3f56c254b9ea34e58a1d5b1f5a8'],
      settings: { uuid: '3d1bd3f5-6c25-4b9e-a34e-58a1d5b1f5a8' },
    },
    { words: ['--uuid=00000000-0000-0000-0000-000000000000'], error: 'is all zero' },
    { words: [`--uuid=${'0'.repeat(32)}`], error: 'is all zero' },
    { words: ['--uuid='], error: '--uuid= is no UUID.' },
    { words: ['--uuid=3d1bd3f5-6c254b9e-a34e-58a1d5b1f5a8'], error: 'is no UUID.' },
    { words: ['--uuid={3d1bd3f5-6c25-4b9e-a34e-58a1d5b1f5a8}'], error: 'is no UUID.' },
  ],
  settings: [
    { words: ['--settings=no'], settings: { settingsFile: 'no' } },
    { words: ['--settings=override'], settings: { settingsFile: 'override' } },
    { words: ['--settings', 'trusted'], settings: { settingsFile: 'trusted' } },
    { words: ['--settings=off', '--settings=on'], settings: {} },
    { words: ['--settings=trust'], error: '--settings=trust is none of yes, no, override, trusted.' },
    { words: ['--settings='], error: '--settings= is none of yes, no, override, trusted.' },
  ],
  cpus: [
    { words: ['--cpus=4'], settings: { cpus: 4 } },
    { words: ['--cpus=4096'], settings: { cpus: 4096 } },
    { words: ['--qemu-smp=3'], settings: { cpus: 3 } },
    { words: ['--qemu-smp', '3'], settings: { cpus: 3 } },
    ...['0', 'abc', '', '-1', '1.5', '0x4', '4097', ' 4', '1e3', '99999999999999999999'].map((number) => ({
      words: [`--cpus=${number}`],
      error: `--cpus=${number} is no whole number from 1 to 4096.`,
    })),
    { words: ['--qemu-smp=0'], error: '--qemu-smp=0 is no whole number from 1 to 4096.' },
    { words: ['--cpus=2,sockets=2'], error: 'use --qemu-arg=-smp with --qemu-arg=2,sockets=2' },
  ],
  ram: [
    { words: ['--ram=512M'], settings: ram(512 * mebibyte) },
    { words: ['--qemu-mem', '1g'], settings: ram(gibibyte) },
    { words: ['--ram=1.5G'], settings: ram(1.5 * gibibyte) },
    { words: ['--ram=1'], settings: ram(mebibyte) },
    { words: ['--ram=0.5K'], settings: ram(mebibyte) },
    { words: ['--ram=1048577'], settings: ram(2 * mebibyte) },
    { words: ['--ram=1024KB'], settings: ram(mebibyte) },
    { words: ['--ram=1T'], settings: ram(1024 * gibibyte) },
    { words: ['--ram=1G:'], settings: ram(gibibyte) },
    { words: ['--ram=1G::'], settings: ram(gibibyte) },
    { words: ['--ram=1G:4G'], settings: ram(gibibyte, 4 * gibibyte, 1) },
    { words: ['--ram=1G:4G:'], settings: ram(gibibyte, 4 * gibibyte, 1) },
    { words: ['--ram=1G:4G:256'], settings: ram(gibibyte, 4 * gibibyte, 256) },
    { words: ['--ram=1G:1G'], settings: ram(gibibyte) },
    { words: ['--ram=0'], error: '--ram=0 has a size of zero.' },
    { words: ['--ram=0.0G'], error: '--ram=0.0G has a size of zero.' },
    { words: ['--ram=1G:0'], error: '--ram=1G:0 has a MAX of zero.' },
    { words: ['--ram=2G:1G'], error: '--ram=2G:1G has a MAX that is smaller than the size.' },
    { words: ['--ram=1G::2'], error: '--ram=1G::2 has SLOTS without MAX.' },
    { words: ['--ram=1G:2G:3:4'], error: '--ram=1G:2G:3:4 has more than the three fields SIZE:MAX:SLOTS.' },
    {
      words: ['--ram=1G:2G:0'],
      error: '--ram=1G:2G:0 has a SLOTS field that is no whole number from 1 to 256.',
    },
    { words: ['--ram=1G:2G:257'], error: 'has a SLOTS field that is no whole number from 1 to 256.' },
    { words: ['--ram=1E'], error: '--ram=1E has a size of 8 PiB or more, which no machine can have.' },
    ...['', 'x', '1X', '-1G', '1GiB', '1,5G', '1G ', '1.G', '.5G', '1e9'].map((size) => ({
      words: [`--ram=${size}`],
      error: `--ram=${size} has a size that is no number of bytes.`,
    })),
    { words: ['--qemu-mem=0'], error: '--qemu-mem=0 has a size of zero.' },
  ],
  kvm: [
    ...['1', 'yes', 'Y', 'true', 'T', 'ON'].map((word) => ({
      words: [`--kvm=${word}`],
      settings: { kvm: true },
    })),
    ...['0', 'no', 'N', 'false', 'f', 'Off'].map((word) => ({
      words: [`--kvm=${word}`],
      settings: { kvm: false },
    })),
    { words: ['--kvm=no', '--kvm=auto'], settings: {} },
    { words: ['--kvm=no', '--kvm='], settings: {} },
    { words: ['--qemu-kvm=no'], settings: { kvm: false } },
    { words: ['--kvm=maybe'], error: '--kvm=maybe is neither yes, no nor auto.' },
  ],
  vsock: [
    { words: ['--vsock=yes'], settings: { vsock: true } },
    { words: ['--qemu-vsock=no'], settings: { vsock: false } },
    { words: ['--vsock=3'], error: '--vsock=3 is neither yes, no nor auto.' },
  ],
  tpm: [
    { words: ['--tpm=yes'], settings: { tpm: true } },
    { words: ['--tpm', 'no'], settings: { tpm: false } },
    { words: ['--tpm=2.0'], error: '--tpm=2.0 is neither yes, no nor auto.' },
  ],
  'tpm-state': [
    ...['no', 'off', '0', ''].map((word) => ({
      words: [`--tpm-state=${word}`],
      settings: { tpmState: 'off' as const },
    })),
    { words: ['--tpm-state=no', '--tpm-state=yes'], settings: {} },
    { words: ['--tpm-state=no', '--tpm-state=AUTO'], settings: {} },
    { words: ['--tpm-state=/var/tpm'], settings: { tpmState: { path: '/var/tpm' } } },
    { words: ['--tpm-state=./tpm'], settings: { tpmState: { path: '/work/dir/tpm' } } },
    { words: ['--tpm-state=a/tpm/'], settings: { tpmState: { path: '/work/dir/a/tpm' } } },
    { words: ['--tpm-state=state'], error: 'is none of auto, yes, no and no path with a slash.' },
    { words: ['--tpm-state=state'], error: 'For a file of that name write --tpm-state=./state' },
    { words: ['--tpm-state=atuo'], error: 'Did you mean auto?' },
  ],
  'efi-nvram-state': [
    { words: ['--efi-nvram-state=off'], settings: { efiNvramState: 'off' } },
    { words: ['--efi-nvram-state=./vars.fd'], settings: { efiNvramState: { path: '/work/dir/vars.fd' } } },
    { words: ['--efi-nvram-state=vars.fd'], error: '--efi-nvram-state=vars.fd is none of auto, yes, no' },
  ],
  'efi-nvram-template': [
    { words: ['--efi-nvram-template=vars.fd'], settings: { efiNvramTemplate: '/work/dir/vars.fd' } },
    { words: ['--efi-nvram-template=vars.fd', '--efi-nvram-template='], settings: {} },
    { words: ['--efi-nvram-template=\0'], error: 'is no path because it holds a NUL character.' },
  ],
  'secure-boot': [
    { words: ['--secure-boot=yes'], settings: { secureBoot: true } },
    { words: ['--secure-boot=off'], settings: { secureBoot: false } },
    { words: ['--secure-boot=enforce'], error: '--secure-boot=enforce is neither yes, no nor auto.' },
  ],
  firmware: [
    ...(['uefi', 'bios', 'none', 'list', 'describe'] as const).map((word) => ({
      words: [`--firmware=${word}`],
      settings: { firmware: word },
    })),
    { words: ['--firmware=bios', '--firmware=auto'], settings: {} },
    { words: ['--firmware=bios', '--firmware='], settings: {} },
    { words: ['--firmware=/a/b.json'], settings: { firmware: { path: '/a/b.json' } } },
    { words: ['--firmware=./b.json'], settings: { firmware: { path: '/work/dir/b.json' } } },
    {
      words: ['--firmware=b.json'],
      error: '--firmware=b.json is none of auto, uefi, bios, none, list, describe and no path',
    },
    { words: ['--firmware=eufi'], error: 'Did you mean uefi?' },
  ],
  'firmware-features': [
    { words: ['--firmware-features=secure-boot'], settings: features(['secure-boot'], ['enrolled-keys']) },
    { words: ['--firmware-features=enrolled-keys'], settings: features(['enrolled-keys'], []) },
    { words: ['--firmware-features=a,~b'], settings: features(['a'], ['enrolled-keys', 'b']) },
    { words: ['--firmware-features=a,~a'], settings: features(['a'], ['enrolled-keys']) },
    {
      words: ['--firmware-features=~a', '--firmware-features=a'],
      settings: features(['a'], ['enrolled-keys']),
    },
    {
      words: ['--firmware-features=a', '--firmware-features=a,b'],
      settings: features(['a', 'b'], ['enrolled-keys']),
    },
    { words: ['--firmware-features='], settings: features([], []) },
    { words: ['--firmware-features=a', '--firmware-features='], settings: features([], []) },
    { words: ['--firmware-features=list'], settings: features([], ['enrolled-keys'], true) },
    {
      words: ['--firmware-features=a', '--firmware-features=list'],
      settings: features(['a'], ['enrolled-keys'], true),
    },
    ...[',', 'a,', 'a b', '~', '~~a', 'a,list', '!a'].map((list) => ({
      words: [`--firmware-features=${list}`],
      error: `--firmware-features=${list} is no list of firmware features.`,
    })),
  ],
  linux: [
    { words: ['--linux=vmlinuz'], settings: { linux: '/work/dir/vmlinuz' } },
    { words: ['--linux=vmlinuz', '--linux='], settings: {} },
    { words: ['--linux'], error: 'Option --linux needs an argument, PATH.' },
  ],
  initrd: [
    { words: ['--initrd=a', '--initrd', '/b'], settings: { initrd: ['/work/dir/a', '/b'] } },
    { words: ['--initrd=a', '--initrd=', '--initrd=b'], settings: { initrd: ['/work/dir/b'] } },
    { words: ['--initrd'], error: 'Option --initrd needs an argument, PATH.' },
  ],
  console: [
    ...(['read-only', 'native', 'gui', 'headless'] as const).map((mode) => ({
      words: ['--console', mode],
      settings: { console: mode },
    })),
    { words: ['--qemu-gui'], settings: { console: 'gui' } },
    { words: ['--qemu-gui', '--console=interactive'], settings: {} },
    { words: ['--qemu-gui=yes'], error: 'Option --qemu-gui takes no argument, but got yes.' },
    { words: ['--console=readonly'], error: 'is none of interactive, read-only, native, gui, headless.' },
    { words: ['--console=readonly'], error: 'Did you mean read-only?' },
    { words: ['--console='], error: '--console= is none of' },
    { words: ['--console=interactive,keep'], settings: { consoleKeep: true } },
    { words: ['--console=read-only,keep'], settings: { console: 'read-only', consoleKeep: true } },
    { words: ['--console=read-only,keep', '--console=interactive'], settings: {} },
    { words: ['--console=gui,keep'], error: '--console=gui,keep has no terminal to lose' },
    { words: ['--console=keep'], error: '--console=keep is none of interactive, read-only,' },
    { words: ['--console=,keep'], error: 'is none of interactive, read-only,' },
  ],
  'console-allow': [
    {
      words: ['--console-allow=clipboard,~title'],
      settings: { consoleAllow: ['clipboard', 'graphics', 'hyperlinks'] },
    },
    { words: ['--console-allow='], settings: { consoleAllow: [] } },
    {
      words: ['--console-allow=all', '--console-allow=~window', '--console-allow='],
      settings: { consoleAllow: [] },
    },
    { words: ['--console-allow=clipbord'], error: 'is none of clipboard, colours' },
    { words: ['--console-allow=title,,files'], error: 'is none of clipboard, colours' },
  ],
  background: [
    { words: ['--background=44'], settings: { background: '44' } },
    { words: ['--background', '48;2;1;2;3', '--background='], settings: { background: null } },
    { words: ['--background=31'], error: '--background=31 is no background colour.' },
    { words: ['--background=blue'], error: '--background=blue is no background colour.' },
  ],
  'console-transport': [
    { words: ['--console-transport=serial'], settings: { consoleTransport: 'serial' } },
    { words: ['--console-transport=serial', '--console-transport', 'virtio'], settings: {} },
    { words: ['--console-transport=usb'], error: '--console-transport=usb is none of virtio, serial.' },
  ],
  'network-user-mode': [
    { words: ['--network-user-mode'], settings: { network: ['user'] } },
    { words: ['--network-user-mode', '-n'], settings: { network: ['user', 'tap'] } },
    { words: ['--network-user-mode=no'], error: 'Option --network-user-mode takes no argument, but got no.' },
  ],
  'image-disk-type': [
    ...(['virtio-scsi', 'nvme', 'scsi-cd'] as const).map((type) => ({
      words: [`--image-disk-type=${type}`],
      settings: { imageDiskType: type },
    })),
    { words: ['--image-disk-type=nvme', '--image-disk-type=virtio-blk'], settings: {} },
    {
      words: ['--image-disk-type=scsi'],
      error: '--image-disk-type=scsi is none of virtio-blk, virtio-scsi, nvme, scsi-cd.',
    },
    { words: ['--image-disk-type='], error: '--image-disk-type= is none of' },
  ],
  'discard-disk': [
    { words: ['--discard-disk=no'], settings: { discardDisk: false } },
    { words: ['--discard-disk=no', '--discard-disk=yes'], settings: {} },
    { words: ['--discard-disk=maybe'], error: '--discard-disk=maybe is neither yes nor no.' },
  ],
  'grow-image': [
    { words: ['--grow-image=20G'], settings: { growImage: 20 * gibibyte } },
    { words: ['-G', '1.5G'], settings: { growImage: 1.5 * gibibyte } },
    { words: ['-G1'], settings: { growImage: 4096 } },
    { words: ['-G4097'], settings: { growImage: 8192 } },
    { words: ['-G20G', '-G', ''], settings: {} },
    { words: ['-G20G', '-G0'], settings: {} },
    { words: ['--grow-image=big'], error: '--grow-image=big is no number of bytes.' },
    { words: ['--grow-image=-1'], error: '--grow-image=-1 is no number of bytes.' },
    { words: ['--grow-image=8E'], error: '--grow-image=8E is larger than a disk can be.' },
  ],
  ephemeral: [
    { words: ['-x'], settings: { ephemeral: true } },
    { words: ['--ephemeral'], settings: { ephemeral: true } },
    { words: ['--ephemeral=yes'], error: 'Option --ephemeral takes no argument, but got yes.' },
  ],
  'extra-drive': [
    ...(
      [
        ['a.raw', '/work/dir/a.raw', null, null],
        ['/a.raw', '/a.raw', null, null],
        ['qcow2:/a', '/a', 'qcow2', null],
        ['nvme:/a', '/a', null, 'nvme'],
        ['scsi-cd:raw:/a', '/a', 'raw', 'scsi-cd'],
        ['vhdx:virtio-scsi:a', '/work/dir/a', 'vhdx', 'virtio-scsi'],
        ['raw:b:raw:c', '/work/dir/b:raw:c', 'raw', null],
        ['b:c', '/work/dir/b:c', null, null],
        ['./raw:c', '/work/dir/raw:c', null, null],
        ['raw', '/work/dir/raw', null, null],
      ] as const
    ).map(([text, path, format, type]) => ({
      words: [`--extra-drive=${text}`],
      settings: { extraDrives: [{ path, format, type }] },
    })),
    {
      words: ['--extra-drive=/a', '--extra-drive=', '--extra-drive=/b', '--extra-drive=/c'],
      settings: {
        extraDrives: [
          { path: '/b', format: null, type: null },
          { path: '/c', format: null, type: null },
        ],
      },
    },
    { words: ['--extra-drive=raw:'], error: '--extra-drive=raw: names no drive.' },
    { words: ['--extra-drive=raw:qcow2:/a'], error: '--extra-drive=raw:qcow2:/a says two formats.' },
    { words: ['--extra-drive=nvme:raw:nvme:/a'], error: '--extra-drive=nvme:raw:nvme:/a says two types.' },
    { words: ['--extra-drive=a\0b'], error: 'holds a NUL character.' },
  ],
  'network-tap': [
    { words: ['-n'], settings: { network: ['tap'] } },
    { words: ['--network-tap', '--network-tap'], settings: { network: ['tap'] } },
    { words: ['--network-tap=no'], error: 'Option --network-tap takes no argument, but got no.' },
  ],
  port: [
    {
      words: ['--port=2222:22', '--port=0.0.0.0:53:5353/udp', '--port=10.0.0.1:1:65535/tcp'],
      settings: {
        ports: [
          { protocol: 'tcp', address: '127.0.0.1', host: 2222, guest: 22 },
          { protocol: 'udp', address: '0.0.0.0', host: 53, guest: 5353 },
          { protocol: 'tcp', address: '10.0.0.1', host: 1, guest: 65535 },
        ],
      },
    },
    { words: ['--port=1:1', '--port='], settings: {} },
    ...['22', '22:', ':22', 'a:b', '1:2/sctp', '1:2/', '-1:2', ' 1:2', '1:2:'].map((text) => ({
      words: [`--port=${text}`],
      error: `--port=${text} is no forwarded port.`,
    })),
    { words: ['--port=0:22'], error: '--port=0:22 has the port 0, which is none from 1 to 65535.' },
    { words: ['--port=22:65536'], error: 'has the port 65536, which is none from 1 to 65535.' },
    { words: ['--port=22:99999999999999999999'], error: 'which is none from 1 to 65535.' },
    { words: ['--port=host:1:2'], error: '--port=host:1:2 has host for an address, which is no IPv4 one.' },
    { words: ['--port=[::1]:1:2'], error: 'has [::1] for an address, which is no IPv4 one.' },
    { words: ['--port=1.2.3.256:1:2'], error: 'has 1.2.3.256 for an address, which is no IPv4 one.' },
    { words: ['--port=1.2.3:1:2'], error: 'has 1.2.3 for an address, which is no IPv4 one.' },
    { words: ['--port=:1:2'], error: 'has  for an address' },
  ],
  'notify-ready': [
    { words: ['--notify-ready=yes'], settings: { notifyReady: true } },
    { words: ['--notify-ready=no'], settings: { notifyReady: false } },
    { words: ['--notify-ready=no', '--notify-ready='], settings: {} },
    { words: ['--notify-ready=yes', '--notify-ready=auto'], settings: {} },
    { words: ['--notify-ready=soon'], error: '--notify-ready=soon is neither yes, no nor auto.' },
  ],
  'shutdown-timeout': [
    { words: ['--shutdown-timeout=30'], settings: { shutdownTimeout: 30_000 } },
    { words: ['--shutdown-timeout=0'], settings: { shutdownTimeout: 0 } },
    {
      words: ['--shutdown-timeout=1min 30s', '--shutdown-timeout=2m'],
      settings: { shutdownTimeout: 120_000 },
    },
    { words: ['--shutdown-timeout', '1min30s'], settings: {} },
    { words: ['--shutdown-timeout=infinity'], settings: { shutdownTimeout: null } },
    { words: ['--shutdown-timeout='], error: '--shutdown-timeout= is no time span.' },
    { words: ['--shutdown-timeout=-1'], error: '--shutdown-timeout=-1 is no time span.' },
    { words: ['--shutdown-timeout=1month'], error: '--shutdown-timeout=1month is longer than 24 days.' },
  ],
  'qemu-arg': [
    { words: ['--qemu-arg=-smp', '--qemu-arg', '--x'], settings: { qemuArguments: ['-smp', '--x'] } },
    { words: ['--qemu-arg=a', '--qemu-arg=', '--qemu-arg=b=c,d'], settings: { qemuArguments: ['b=c,d'] } },
    { words: ['--qemu-arg=\0'], error: '--qemu-arg=\0 holds a NUL character.' },
  ],
  detach: [
    { words: ['--detach'], settings: { detach: true } },
    { words: ['-dq'], settings: { detach: true, quiet: true } },
    { words: ['--detach=yes'], error: 'Option --detach takes no argument, but got yes.' },
  ],
  'dry-run': [
    { words: ['--dry-run'], settings: { dryRun: 'text' } },
    { words: ['--dry-run=text'], settings: { dryRun: 'text' } },
    { words: ['--dry-run=json'], settings: { dryRun: 'json' } },
    { words: ['--dry-run', 'json'], settings: { dryRun: 'text', kernelCommandLine: ['json'] } },
    { words: ['--dry-run=yes'], error: '--dry-run=yes is none of text, json.' },
    { words: ['--dry-run='], error: '--dry-run= is none of text, json.' },
  ],
  json: [
    { words: ['--json'], settings: { json: true } },
    { words: ['--json=pretty'], error: 'Option --json takes no argument, but got pretty.' },
  ],
  quiet: [
    { words: ['-q'], settings: { quiet: true } },
    { words: ['--quiet'], settings: { quiet: true } },
    { words: ['--quiet='], error: 'Option --quiet takes no argument, but got an empty one.' },
  ],
  manager: [
    ...(['system', 'user', 'none'] as const).map((name) => ({
      words: [`--manager=${name}`],
      settings: { manager: name },
    })),
    { words: ['--manager=user', '--manager=auto'], settings: {} },
    { words: ['--manager=systemd'], error: '--manager=systemd is none of auto, system, user, none.' },
  ],
  system: [
    { words: ['--system'], settings: { manager: 'system' } },
    { words: ['--user', '--system'], settings: { manager: 'system' } },
    { words: ['--system=yes'], error: 'Option --system takes no argument, but got yes.' },
  ],
  user: [
    { words: ['--user'], settings: { manager: 'user' } },
    { words: ['--manager=none', '--user'], settings: { manager: 'user' } },
    { words: ['--user=root'], error: 'Option --user takes no argument, but got root.' },
  ],
  slice: [
    { words: ['-S', 'build'], settings: { slice: 'build.slice' } },
    { words: ['--slice=build.slice'], settings: { slice: 'build.slice' } },
    { words: ['--slice=machine-build'], settings: { slice: 'machine-build.slice' } },
    { words: ['--slice=machine/build'], settings: { slice: 'machine-build.slice' } },
    { words: ['--slice=a.b'], settings: { slice: 'a.b.slice' } },
    { words: ['--slice=a \u00e4'], settings: { slice: 'a\\x20\\xc3\\xa4.slice' } },
    { words: ['--slice=-'], settings: { slice: '-.slice' } },
    { words: ['--slice=-.slice'], settings: { slice: '-.slice' } },
    { words: ['--slice=a', '--slice='], settings: {} },
    { words: ['--slice=a.service'], error: '--slice=a.service is a unit of another kind than a slice.' },
    ...['-a', 'a-', 'a--b', 'a@b', '/a', '.slice', '--'].map((name) => ({
      words: [`--slice=${name}`],
      error: `--slice=${name} is no name of a slice.`,
    })),
    { words: [`--slice=${'a'.repeat(250)}`], error: 'is longer than the 255 characters of a unit name.' },
    { words: ['--slice=a\0'], error: 'holds a NUL character.' },
    { words: ['--slice'], error: 'Option --slice needs an argument, SLICE.' },
  ],
  property: [
    {
      words: ['--property=MemoryMax=1G', '--property', 'Description=a=b'],
      settings: {
        properties: [
          { name: 'MemoryMax', value: '1G' },
          { name: 'Description', value: 'a=b' },
        ],
      },
    },
    {
      words: ['--property=IOWeight=1', '--property=', '--property=Description='],
      settings: { properties: [{ name: 'Description', value: '' }] },
    },
    ...['MemoryMax', '=1', 'A=\0'].map((text) => ({
      words: [`--property=${text}`],
      error: `--property=${text} is no assignment. Write NAME=VALUE`,
    })),
  ],
  'keep-unit': [
    { words: ['--keep-unit'], settings: { keepUnit: true } },
    { words: ['--keep-unit=no'], error: 'Option --keep-unit takes no argument, but got no.' },
  ],
  register: [
    { words: ['--register=yes'], settings: { register: true } },
    { words: ['--register=no'], settings: { register: false } },
    { words: ['--register=no', '--register=auto'], settings: {} },
    { words: ['--register=maybe'], error: '--register=maybe is neither yes, no nor auto.' },
  ],
  scope: [
    { words: ['--scope=varlink'], settings: { scope: 'varlink' } },
    { words: ['--scope=dbus'], settings: { scope: 'dbus' } },
    { words: ['--scope=dbus', '--scope=auto'], settings: {} },
    { words: ['--scope=d-bus'], error: '--scope=d-bus is none of auto, varlink, dbus. Did you mean dbus?' },
  ],
  'no-ask-password': [
    { words: ['--no-ask-password'], settings: { askPassword: false } },
    { words: ['--no-ask-password=1'], error: 'Option --no-ask-password takes no argument, but got 1.' },
  ],
  'no-pager': [
    { words: ['--no-pager'], settings: { pager: false } },
    { words: ['--no-pager=1'], error: 'Option --no-pager takes no argument, but got 1.' },
  ],
  help: [
    { words: ['-h'], action: 'help' },
    { words: ['--help'], action: 'help' },
    { words: ['-qh'], action: 'help' },
    { words: ['--help', '--version'], action: 'help' },
    { words: ['--help', '--nonsense'], action: 'help' },
    { words: ['--nonsense', '--help'], error: 'Unknown option --nonsense.' },
    { words: ['--help=me'], error: 'Option --help takes no argument, but got me.' },
  ],
  'clean-up': [
    { words: ['--clean-up', '--machine=x'], action: 'clean-up' },
    { words: ['--clean-up', '--nonsense'], error: 'Unknown option --nonsense.' },
    { words: ['--clean-up=x'], error: 'Option --clean-up takes no argument, but got x.' },
  ],
  version: [
    { words: ['--version'], action: 'version' },
    { words: ['--version', '--help'], action: 'version' },
    { words: ['--version=1'], error: 'Option --version takes no argument, but got 1.' },
  ],
  'set-credential': [
    { words: ['--set-credential=a:b'], settings: { credentials: [secret('a', 'b')] } },
    {
      words: ['--set-credential', 'a.b:c:d', '--set-credential=e f:'],
      settings: { credentials: [secret('a.b', 'c:d'), secret('e f', '')] },
    },
    { words: ['--set-credential=a:\\x41\\n\\033'], settings: { credentials: [secret('a', 'A\n\x1b')] } },
    { words: ['--set-credential=a:b', '--set-credential='], settings: {} },
    { words: ['--set-credential=a'], error: '--set-credential= has no colon between ID and value.' },
    ...['', '..', 'a/b', 'a=b', 'a\n', '\u00e4', 'a'.repeat(256)].map((name) => ({
      words: [`--set-credential=${name}:b`],
      error: 'has an ID that is no credential name.',
    })),
    {
      words: ['--set-credential=a:\\q'],
      error: '--set-credential=a has a value with an escape that is none of C.',
    },
    {
      words: [`--set-credential=a:${'x'.repeat(1024 ** 2 + 1)}`],
      error: '--set-credential=a has a value of more than 1 MiB.',
    },
    { words: ['--set-credential=a:b', '--set-credential=a:c'], error: '--set-credential=a is given twice.' },
    { words: ['--load-credential=a:b', '--set-credential=a:c'], error: '--set-credential=a is given twice.' },
  ],
  'load-credential': [
    { words: ['--load-credential=a:/b'], settings: { credentials: [load('a', '/b')] } },
    { words: ['--load-credential=a:./b'], settings: { credentials: [load('a', '/work/dir/b')] } },
    { words: ['--load-credential=a:b/c:d'], settings: { credentials: [load('a', '/work/dir/b/c:d')] } },
    { words: ['--load-credential=a:b'], settings: { credentials: [load('a', 'b')] } },
    { words: ['--load-credential=a:b', '--load-credential='], settings: {} },
    {
      words: ['--set-credential=a:b', '--load-credential='],
      settings: { credentials: [secret('a', 'b')] },
    },
    { words: ['--load-credential=a'], error: '--load-credential= has no colon between ID and value.' },
    { words: ['--load-credential=a:'], error: 'names neither a path nor a credential after the colon.' },
    { words: ['--load-credential=a:b:c'], error: 'names neither a path nor a credential after the colon.' },
    { words: ['--load-credential=a/b:c'], error: 'has an ID that is no credential name.' },
  ],
  smbios11: [
    { words: ['-s', 'a=b,c', '--smbios11=\u00e4'], settings: { smbios11: ['a=b,c', '\u00e4'] } },
    { words: ['--smbios11=a', '--smbios11=b;c'], settings: { smbios11: ['a', 'b;c'] } },
    { words: ['-sa', '--smbios11=', '-sb'], settings: { smbios11: ['b'] } },
    { words: ['--smbios11=\ufffd'], error: '--smbios11=\ufffd is not UTF-8.' },
    { words: ['--smbios11=a\0'], error: 'holds a NUL character.' },
  ],
  'vsock-cid': [
    { words: ['--vsock-cid=3'], settings: { vsockCid: 3 } },
    { words: ['--vsock-cid=0xFFFFFFFE'], settings: { vsockCid: 4294967294 } },
    { words: ['--vsock-cid=3', '--vsock-cid='], settings: {} },
    ...['2', '4294967295', '0xffffffff', '-3', '3.5', '1e3', 'x', '0x'].map((number) => ({
      words: [`--vsock-cid=${number}`],
      error: `--vsock-cid=${number} is no CID from 3 to 4294967294.`,
    })),
  ],
  'pass-ssh-key': [
    { words: ['--pass-ssh-key=yes'], settings: { passSshKey: true } },
    { words: ['--pass-ssh-key=no'], settings: { passSshKey: false } },
    { words: ['--pass-ssh-key='], error: '--pass-ssh-key= is neither yes nor no.' },
  ],
  'ssh-key-type': [
    { words: ['--ssh-key-type=rsa'], settings: { sshKeyType: 'rsa' } },
    { words: ['--ssh-key-type=ecdsa', '--ssh-key-type='], settings: {} },
    { words: ['--ssh-key-type=dsa'], error: '--ssh-key-type=dsa is none of ed25519, ecdsa, rsa.' },
  ],
};

/** What belongs to no single option. */
export const grammarCases: readonly Case[] = [
  { words: [], settings: {} },
  { words: ['quiet', '--kvm=no'], settings: { kernelCommandLine: ['quiet', '--kvm=no'] } },
  { words: ['-q', '--', '-q', '--'], settings: { quiet: true, kernelCommandLine: ['-q', '--'] } },
  { words: ['--'], settings: {} },
  { words: ['-', '-q'], settings: { kernelCommandLine: ['-', '-q'] } },
  { words: ['', '-q'], settings: { kernelCommandLine: ['', '-q'] } },
  { words: ['-qi', 'disk.raw'], settings: { quiet: true, image: '/work/dir/disk.raw' } },
  {
    words: ['-qidisk.raw', 'rw'],
    settings: { quiet: true, image: '/work/dir/disk.raw', kernelCommandLine: ['rw'] },
  },
  { words: ['-iq'], settings: { image: '/work/dir/q' } },
  {
    words: ['--imag', 'a'],
    error: 'Option --imag is ambiguous, it could be --image, --image-format, --image-disk-type.',
  },
  { words: ['--image-f', 'raw'], settings: { imageFormat: 'raw' } },
  { words: ['--cp=2'], settings: { cpus: 2 } },
  { words: ['--qemu-m=1G'], settings: ram(gibibyte) },
  { words: ['--qemu-k', 'no'], settings: { kvm: false } },
  { words: ['--qemu-g'], settings: { console: 'gui' } },
  { words: ['--qemu'], error: 'Option --qemu is ambiguous, it could be --qemu-smp,' },
  { words: ['--ini=x'], settings: { initrd: ['/work/dir/x'] } },
  { words: ['--tpm=no', '--tpm-s=/x'], settings: { tpm: false, tpmState: { path: '/x' } } },
  { words: ['--us'], settings: { manager: 'user' } },
  { words: ['--imgae=x'], error: 'Unknown option --imgae, the nearest known one is --image.' },
  { words: ['--consle'], error: 'Unknown option --consle, the nearest known one is --console.' },
  { words: ['--vsokc=1'], error: 'Unknown option --vsokc, the nearest known one is --vsock.' },
  { words: ['--=x'], error: 'Unknown option --.' },
  { words: ['--Image=x'], error: 'Unknown option --Image, the nearest known one is --image.' },
  { words: ['-y'], error: 'Unknown option -y.' },
  { words: ['-qy'], error: 'Unknown option -y in -qy.' },
  { words: ['-\u{1f600}'], error: 'Unknown option -\u{1f600}.' },
  { words: [`--${'x'.repeat(500)}`], error: `Unknown option --${'x'.repeat(97)}....` },
  { words: ['--__proto__'], error: 'Unknown option --__proto__.' },
  { words: ['--constructor=1'], error: 'Unknown option --constructor.' },
];
