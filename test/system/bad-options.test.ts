import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { options } from '../../src/cli/options.ts';
import { parseCommandLine } from '../../src/cli/parse.ts';
import { describeError } from '../../src/errors.ts';
import { temporaryDirectory } from '../temporary.ts';
import { directBoot, leftovers, vmspawn } from './harness.ts';

const mebibyte = 1024 ** 2;

/** A place with what users give by mistake, for each option its own; cases name it by `@`. */
function furnished(): string {
  const place = temporaryDirectory();
  const at = (name: string) => join(place, name);
  for (const [name, size] of [
    ['disk.raw', mebibyte],
    ['fake.qcow2', mebibyte],
    ['large', 2 * mebibyte],
    ['empty', 0],
  ] as const) {
    writeFileSync(at(name), '');
    truncateSync(at(name), size);
  }
  writeFileSync(at('text'), 'text\n');
  writeFileSync(at('packed'), Buffer.from('\xfd7zXZ\0', 'latin1'));
  writeFileSync(at('foreign.vars'), 'x');
  for (const directory of ['dir', 'foreign', 'open', 'open/closed', 'loose', 'full'])
    mkdirSync(at(directory));
  writeFileSync(at('full/letter'), 'of somebody');
  for (const name of ['foreign', 'foreign.vars']) chownSync(at(name), 65534, 65534);
  chmodSync(at('open'), 0o777);
  chmodSync(at('loose'), 0o770);
  symlinkSync('loop', at('loop'));
  symlinkSync('nothing', at('dangling'));
  symlinkSync('dir', at('link'));
  execFileSync('mkfifo', [at('fifo')]);
  return place;
}

type Case = readonly [words: readonly string[], message: RegExp];

/** Of an option that takes no argument. */
const noArgument = (name: string): readonly Case[] => [
  [[`--${name}=x`], new RegExp(`^Option --${name} takes no argument, but got x\\.$`)],
];
const boolean = (name: string): readonly Case[] => [
  [[`--${name}=maybe`], new RegExp(`^--${name}=maybe is neither yes nor no\\.$`)],
];
const tristate = (name: string): readonly Case[] => [
  [[`--${name}=maybe`], new RegExp(`^--${name}=maybe is neither yes, no nor auto\\.$`)],
];
const words = (name: string, ...values: readonly string[]): readonly Case[] =>
  values.map((value) => [[`--${name}=${value}`], new RegExp(`^--${name}=${value} is none of `)]);
const directory = (name: string, behind = ''): readonly Case[] => [
  [[`--${name}=@/nothing${behind}`], new RegExp(`^--${name}=@/nothing does not exist\\.$`)],
  [[`--${name}=@/dangling${behind}`], new RegExp(`^--${name}=@/dangling does not exist\\.$`)],
  [[`--${name}=@/disk.raw${behind}`], new RegExp(`^--${name}=@/disk\\.raw is no directory\\.$`)],
  [[`--${name}=@/fifo${behind}`], new RegExp(`^--${name}=@/fifo is no directory\\.$`)],
  [[`--${name}=@/loop${behind}`], new RegExp(`^--${name}=@/loop cannot be looked at: ELOOP`)],
];
const bind = (name: string): readonly Case[] => [
  ...directory(name, ':/x'),
  [[`--${name}=a::b`], new RegExp(`^--${name}=a::b is not SRC or SRC:DST\\. .*\\\\:`)],
  [[`--${name}=:/x`], new RegExp(`^--${name}=:/x is not SRC or SRC:DST`)],
  [[`--${name}=@/dir:/a:/b`], new RegExp(`^--${name}=@/dir:/a:/b is not SRC or SRC:DST`)],
  [[`--${name}=@/dir:x`], new RegExp(`^--${name}=@/dir:x names no absolute path in the guest`)],
  [[`--${name}=@/dir:/a/../b`], /names no absolute path in the guest/],
  [[`--${name}=@/dir:/a\nb`], new RegExp(`^--${name}=@/dir:/a\\\\x0ab names no absolute path`)],
  [[`--${name}=@/dir:/`], new RegExp(`^--${name}=@/dir:/ would hide the guest's root directory`)],
  [
    ['--bind=@/dir:/x', `--${name}=@/full:/x/`],
    new RegExp(`^--${name}=@/full:/x has the same place in the guest as --bind=@/dir\\. Give each`),
  ],
];
const uefi = ['--firmware=uefi', '--tpm=no'];
const tpm = [
  '--tpm=yes',
  '--firmware=uefi',
  '--efi-nvram-state=@/vars',
  '--image=@/disk.raw',
  '-G2M',
  '--quiet',
];

/** What each option refuses; `@` is the place above. */
const cases: { readonly [option: string]: readonly Case[] } = {
  image: [
    [['--image=@/nothing'], /^Image @\/nothing does not exist\. Check the path given with --image=\.$/],
    [['--image=@/loop'], /^Image @\/loop cannot be read: ELOOP/],
    [['--image=@/dir'], /@\/dir is a directory\. Boot a directory with --directory=\./],
    [['--image=@/fifo'], /@\/fifo is a FIFO, neither a regular file nor a block device/],
    [['--image=@/empty'], /@\/empty is an empty file/],
    [['--image=@/fake.qcow2'], /@\/fake\.qcow2 is no qcow2 image/],
  ],
  directory: [
    ...directory('directory'),
    [['-D@/dir', '-i@/disk.raw'], /^--directory= and --image= name two things to boot\. Give one of them/],
  ],
  'private-users': [
    ...['abc', '-1', '1:0', '1:2:3', '4294967295', '4294967290:65536', '99999999999999999999'].map(
      (value): Case => [
        ['-D@/dir', `--private-users=${value}`],
        new RegExp(`^--private-users=${value} is no range of user numbers\\. Give BASE or BASE:COUNT`),
      ],
    ),
    [['--private-users=1'], /^--private-users= is about the files of --directory=, which was not given/],
  ],
  bind: bind('bind'),
  'bind-ro': bind('bind-ro'),
  'image-format': [
    ...words('image-format', 'qcow', 'RAW'),
    [
      ['-D@/dir', '--image-format=qcow2'],
      /^--image-format=qcow2 is about a disk image, but --image= was not given\. Leave it out; .*--extra-drive=/,
    ],
    [['--image-format=raw'], /^--image-format=raw is about a disk image, but --image= was not given/],
  ],
  'image-disk-type': words('image-disk-type', '', 'ide', 'NVME'),
  'discard-disk': boolean('discard-disk'),
  'grow-image': [
    ...['abc', '-5', '1.5.5G', '0x10'].map(
      (value): Case => [
        ['-i@/disk.raw', `--grow-image=${value}`],
        new RegExp(`^--grow-image=${value} is no number of bytes\\. Give a number`),
      ],
    ),
    [['-i@/disk.raw', '--grow-image=1E'], /^--grow-image=1E is larger than a disk can be/],
    [['--grow-image=1M'], /^--grow-image=1048576 needs an image\. Name it with --image=PATH/],
    [
      ['-D@/dir', '-G2M'],
      /^--grow-image=2097152 needs an image\. A directory has the size of its file system/,
    ],
    [['-i@/disk.raw', '-G2M', '--image-disk-type=scsi-cd'], /^--grow-image=2097152 .* CD-ROM/],
  ],
  ephemeral: noArgument('ephemeral'),
  'extra-drive': [
    [['--extra-drive=@/nothing'], /^--extra-drive=@\/nothing does not exist/],
    [['--extra-drive=@/loop'], /^--extra-drive=@\/loop is a loop of symbolic links/],
    [['--extra-drive=@/dir'], /^--extra-drive=@\/dir is a directory/],
    [['--extra-drive=@/fifo'], /^--extra-drive=@\/fifo is a FIFO/],
    [['--extra-drive=@/empty'], /^--extra-drive=@\/empty is an empty file/],
    [['--extra-drive=qcow2:@/disk.raw'], /^--extra-drive=@\/disk\.raw is no qcow2 image/],
    [['--extra-drive=raw:'], /^--extra-drive=raw: names no drive\. Write \[FORMAT:\]\[TYPE:\]PATH/],
    [['--extra-drive=raw:vdi:x'], /^--extra-drive=raw:vdi:x says two formats/],
    [['--extra-drive=nvme:scsi-cd:x'], /^--extra-drive=nvme:scsi-cd:x says two types/],
    [['-i@/disk.raw', '--extra-drive=@/disk.raw'], /^@\/disk\.raw is given to the machine twice/],
  ],
  'set-credential': [
    [['--set-credential=secret'], /^--set-credential= has no colon between ID and value\. Write it as/],
    [['--set-credential=a/b:c'], /^--set-credential=a\/b has an ID that is no credential name/],
    [['--set-credential=\x1b:c'], /^--set-credential=\\x1b has an ID that is no credential name/],
    [['--set-credential=a:\\q'], /^--set-credential=a has a value with an escape that is none of C/],
    [['--set-credential=a:1', '--set-credential=a:2'], /^--set-credential=a is given twice/],
    [[`--set-credential=a:${'x'.repeat(60_000)}`], /SMBIOS tables.* Give less with --set-credential=/],
  ],
  'load-credential': [
    [['--load-credential=a'], /^--load-credential= has no colon between ID and value/],
    [['--load-credential=a:'], /^--load-credential=a: names neither a path nor a credential/],
    [
      ['--load-credential=a:nothing'],
      /^--load-credential=a:nothing names no credential of this host\. Looked/,
    ],
    [['--load-credential=a:@/nothing'], /^--load-credential=a:@\/nothing does not exist\./],
    [['--load-credential=a:@/loop'], /^--load-credential=a:@\/loop cannot be read: ELOOP/],
    [['--load-credential=a:@/dir'], /^--load-credential=a:@\/dir is neither a file nor a socket/],
    [['--load-credential=a:@/fifo'], /^--load-credential=a:@\/fifo is neither a file nor a socket/],
    [['--load-credential=a:/dev/zero'], /^--load-credential=a:\/dev\/zero is neither a file nor a socket/],
    [
      ['--load-credential=a:/proc/self/mem'],
      /^Credential a \(--load-credential=\) cannot be read from \/proc/,
    ],
    [['--load-credential=a:@/large'], /20\d{5} bytes in sum.* Give less with .*--load-credential=/],
    [['--load-credential=a:@/a\nb'], /^--load-credential=a:@\/a\\x0ab does not exist/],
  ],
  smbios11: [
    [[`--smbios11=${'x'.repeat(70_000)}`], /SMBIOS tables, which have room for 60000.*--smbios11=/],
    [Array.from({ length: 256 }, () => '--smbios11=x'), /room for 255\. Give fewer --smbios11=/],
  ],
  'pass-ssh-key': [
    ...boolean('pass-ssh-key'),
    [['--pass-ssh-key='], /^--pass-ssh-key= is neither yes nor no/],
  ],
  'ssh-key-type': words('ssh-key-type', 'dsa', 'RSA'),
  vsock: tristate('vsock'),
  'vsock-cid': ['0', '2', '-1', '4294967295', '0xffffffff', '1e3', 'abc', '99999999999999999999'].map(
    (value): Case => [
      [`--vsock-cid=${value}`],
      new RegExp(`^--vsock-cid=${value} is no CID from 3 to 4294967294\\.$`),
    ],
  ),
  'notify-ready': tristate('notify-ready'),
  'network-user-mode': noArgument('network-user-mode'),
  'network-tap': noArgument('network-tap'),
  port: [
    ...['22', 'abc', '2222:22/sctp', '2222:22:', ' 2222:22', '-1:22'].map(
      (value): Case => [
        ['--network-user-mode', `--port=${value}`],
        new RegExp(`^--port=${value} is no forwarded port\\. Write `),
      ],
    ),
    [['--network-user-mode', '--port=1:2\n'], /^--port=1:2\\x0a is no forwarded port/],
    [['--network-user-mode', '--port=0:22'], /^--port=0:22 has the port 0, which is none from 1 to 65535/],
    [['--network-user-mode', '--port=22:65536'], /^--port=22:65536 has the port 65536/],
    [['--network-user-mode', '--port=::1:1:2'], /^--port=::1:1:2 has ::1 for an address, which is no IPv4/],
    [['--network-user-mode', '--port=1:2', '--port=1:3'], /^--port=.*1:3 forwards a port.*second time/],
    [['--port=1:2'], /^--port=127\.0\.0\.1:1:2 needs a network in user mode\. Add --network-user-mode/],
    [['--network-tap', '--port=1:2'], /needs a network in user mode/],
  ],
  'tpm-state': [
    [['--tpm-state=x'], /^--tpm-state=x is none of auto, yes, no and no path with a slash/],
    [[...tpm, '--tpm-state=@/link'], /^TPM state @\/link is not a directory\. .*--tpm-state=PATH/],
    [[...tpm, '--tpm-state=@/dangling'], /^TPM state @\/dangling is not a directory/],
    [[...tpm, '--tpm-state=@/text'], /^TPM state @\/text is not a directory/],
    [[...tpm, '--tpm-state=@/foreign'], /^TPM state @\/foreign belongs to the user 65534/],
    [[...tpm, '--tpm-state=@/loose'], /^TPM state @\/loose can be written to by other users/],
    [
      [...tpm, '--tpm-state=@/open/tpm'],
      /^TPM state @\/open\/tpm lies in @\/open, which everybody may write/,
    ],
    [
      [...tpm, '--tpm-state=@/open/closed/tpm'],
      /^TPM state @\/open\/closed\/tpm lies in @\/open, which everybody may write to\. Name .*--tpm-state=PATH/,
    ],
    [[...tpm, '--tpm-state=@/full'], /^TPM state @\/full holds other files than those of a TPM/],
    [[...tpm, '--tpm-state=/'], /^TPM state \/ holds other files than those of a TPM/],
    [[...tpm, '--tpm-state=@/nothing/tpm'], /^TPM state @\/nothing\/tpm cannot be made: ENOENT/],
  ],
  'efi-nvram-state': [
    [['--efi-nvram-state=x'], /^--efi-nvram-state=x is none of auto, yes, no and no path with a slash/],
    [
      [...uefi, '--efi-nvram-state=@/link'],
      /^The NVRAM state @\/link is no regular file\..*--efi-nvram-state=/,
    ],
    [[...uefi, '--efi-nvram-state=@/dangling'], /^The NVRAM state @\/dangling is no regular file/],
    [[...uefi, '--efi-nvram-state=@/dir'], /^The NVRAM state @\/dir is no regular file/],
    [[...uefi, '--efi-nvram-state=@/fifo'], /^The NVRAM state @\/fifo is no regular file/],
    [[...uefi, '--efi-nvram-state=@/foreign.vars'], /^The NVRAM state .* belongs to the user 65534/],
    [
      [...uefi, '--efi-nvram-state=@/open/closed/vars'],
      /lies in @\/open, which everybody may write to\. Name another file with --efi-nvram-state=, or say --efi-nvram-state=off\.$/,
    ],
    [[...uefi, '--efi-nvram-state=@/text'], /^The NVRAM state @\/text is for a flash of 5 bytes/],
    [
      [...uefi, '--efi-nvram-state=@/nothing/vars'],
      /^The NVRAM state @\/nothing\/vars cannot be made: ENOENT/,
    ],
  ],
  'efi-nvram-template': [
    ...['fifo', 'dir'].map(
      (name): Case => [
        [...uefi, '--efi-nvram-state=no', `--efi-nvram-template=@/${name}`],
        new RegExp(`^The NVRAM template @/${name} is no regular file\\. .*--efi-nvram-template=`),
      ],
    ),
    [
      [...uefi, '--efi-nvram-state=no', '--efi-nvram-template=/dev/zero'],
      /^The NVRAM template \/dev\/zero is no regular file/,
    ],
    [
      [...uefi, '--efi-nvram-state=no', '--efi-nvram-template=@/text'],
      /^--efi-nvram-template=@\/text does not fit the firmware, whose own template is .*--firmware=/,
    ],
    [
      [...uefi, '--efi-nvram-state=no', '--efi-nvram-template=@/empty'],
      /^The NVRAM template @\/empty has 0 bytes, which no flash has\. .*--efi-nvram-template=/,
    ],
    [
      [...uefi, '--efi-nvram-state=no', '--efi-nvram-template=@/nothing'],
      /^The NVRAM template @\/nothing cannot be read: ENOENT.* --efi-nvram-template=/,
    ],
    [[...uefi, '--efi-nvram-state=@/vars', '--efi-nvram-template=@/nothing'], /^The NVRAM template .*ENOENT/],
    [[...uefi, '--efi-nvram-state=@/vars', '--efi-nvram-template=@/dir'], /^The NVRAM template .*no regular/],
    [
      [...uefi, '--efi-nvram-state=@/vars', '--efi-nvram-template=@/text'],
      /^--efi-nvram-template=@\/text does not fit the firmware/,
    ],
  ],
  console: [
    ...words('console', 'none', ''),
    [['--console=gui,keep'], /^--console=gui,keep has no terminal to lose/],
  ],
  'console-transport': words('console-transport', 'usb', ''),
  'console-allow': [
    ...words('console-allow', 'sound'),
    [['--console-allow=title,~sound'], /^--console-allow=sound is none of clipboard, /],
  ],
  background: [
    [['--background=31'], /^--background=31 is no background colour\. Give SGR parameters: /],
    [['--background=48;5;256'], /^--background=48;5;256 is no background colour/],
    [['--background=44\x1b[m'], /^--background=44\\x1b\[m is no background colour/],
  ],
  detach: [
    ...noArgument('detach'),
    [
      ['--detach', '--console=native', '-i@/disk.raw'],
      /^--detach cannot be combined with --console=native, which needs somebody in front of it\.$/,
    ],
    [['-d', '--dry-run', '-i@/disk.raw'], /^--detach cannot be combined with --dry-run/],
    [['-d', '-i@/nothing'], /^Image @\/nothing does not exist/],
  ],
  json: noArgument('json'),
  quiet: noArgument('quiet'),
  firmware: [
    [['--firmware=uef'], /^--firmware=uef is none of .* Did you mean uefi\?$/],
    [['--firmware=@/nothing'], /@\/nothing/],
  ],
  'firmware-features': [
    [['--firmware-features=a b'], /^--firmware-features=a b is no list of firmware features/],
  ],
  'secure-boot': tristate('secure-boot'),
  linux: [
    [['--linux=@/nothing'], /^--linux=@\/nothing does not exist/],
    [['--linux=@/dir'], /^--linux=@\/dir is a directory/],
    [['--linux=@/fifo'], /^--linux=@\/fifo is a FIFO/],
    [['--linux=@/empty'], /^--linux=@\/empty is an empty file/],
    [['--linux=@/text'], /^--linux=@\/text is no kernel that QEMU can start on .*\. Give the file/],
    [['--linux=@/disk.raw'], /^--linux=@\/disk\.raw is no kernel .*--image=/],
    [['--linux=@/packed'], /^--linux=@\/packed is compressed with xz, .*\. Unpack it first \(unxz\)\.$/],
  ],
  initrd: [
    [['--initrd=@/nothing'], /^--initrd=@\/nothing does not exist/],
    [['--initrd=@/dir'], /^--initrd=@\/dir is a directory/],
    [['--initrd=@/fifo'], /^--initrd=@\/fifo is a FIFO/],
    [['--initrd=@/empty'], /^--initrd=@\/empty is an empty file/],
  ],
  kvm: tristate('kvm'),
  tpm: tristate('tpm'),
  cpus: [[['--cpus=0'], /^--cpus=0 is no whole number from 1 to 4096/]],
  ram: [[['--ram=0'], /^--ram=0 /]],
  machine: [[['--machine=a_b'], /^--machine=a_b is no host name/]],
  uuid: [[['--uuid=1'], /^--uuid=1 is no UUID/]],
  settings: words('settings', 'maybe'),
  manager: words('manager', 'root'),
  system: noArgument('system'),
  user: noArgument('user'),
  scope: words('scope', 'both'),
  slice: [[['--slice=x.service'], /^--slice=x\.service /]],
  property: [[['--property=x'], /^--property=x /]],
  register: tristate('register'),
  'keep-unit': noArgument('keep-unit'),
  'shutdown-timeout': [[['--shutdown-timeout=soon'], /^--shutdown-timeout=soon /]],
  'no-ask-password': noArgument('no-ask-password'),
  'no-pager': noArgument('no-pager'),
  'dry-run': words('dry-run', 'xml'),
  'qemu-arg': [[['--qemu-arg'], /^Option --qemu-arg needs an argument/]],
  'clean-up': noArgument('clean-up'),
  help: noArgument('help'),
  version: noArgument('version'),
};

test('every option has a case, and every case an option', () => {
  assert.deepEqual(Object.keys(cases).sort(), options.map(({ name }) => name).sort());
  for (const [name, rows] of Object.entries(cases)) assert.ok(rows.length > 0, name);
});

/** All that lies in the place, with sizes, modes and owners. */
function inventory(place: string): string {
  return execFileSync('find', [place, '-printf', '%p %s %m %U\\n'], { encoding: 'utf8' });
}

/** What the parser alone says, which needs no process; null for what it takes. */
function parserSays(given: readonly string[], cwd: string): string | null {
  try {
    parseCommandLine(given, { cwd });
    return null;
  } catch (error) {
    return describeError(error);
  }
}

suite('refused in one sentence, with nothing made', { concurrency: 4, timeout: 600_000 }, () => {
  for (const [name, rows] of Object.entries(cases)) {
    test(`--${name}`, async () => {
      const place = furnished();
      const before = inventory(place);
      for (const [index, [given, message]] of rows.entries()) {
        const real = [...directBoot(`bad-${name}`), ...given.map((word) => word.replaceAll('@', place))];
        const said = parserSays(real, place);
        const shown = (text: string) => `${given.join(' ').slice(0, 200)}\n${text.slice(0, 1000)}`;
        if (said !== null) assert.match(said.replaceAll(place, '@'), message, shown(said));
        // One for each option shows that the program says what the parser does.
        if (said !== null && index > 0) continue;
        const end = await vmspawn(real);
        assert.equal(end.code, 1, shown(end.stderr));
        assert.equal(end.stdout, '', shown(end.stdout));
        assert.match(end.stderr, /^vmspawn: [^\n]*\n$/, shown(end.stderr));
        const text = end.stderr.slice('vmspawn: '.length, -1).replaceAll(place, '@');
        assert.match(text, message, shown(end.stderr));
        assert.deepEqual(leftovers(`bad-${name}`, place), []);
      }
      assert.equal(inventory(place), before);
    });
  }
});
