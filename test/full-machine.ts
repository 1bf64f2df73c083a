import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import type { Plan } from '../src/plan/plan.ts';
import { missingDrivers } from './missing-driver.ts';
import { type Console, smallShell } from './small-shell.ts';

/** Where the machine runs, this host or a testbed, and for whom. Commands are run as the user who starts it. */
export interface Host {
  /** An empty directory of the user's own. */
  readonly directory: string;
  /** Started with --ephemeral. */
  readonly ephemeral: boolean;
  /** A raw image of 48 MiB in a directory where this user may not write; an ephemeral machine has it as well. */
  readonly elsewhere: string;
  /** Node.js. */
  readonly node: string;
  /** A port that is free for TCP and UDP, as is the next one. */
  readonly port: number;
  /** Runs a command to its end; throws unless it succeeds. */
  readonly check: (command: readonly string[]) => Promise<{ readonly stdout: string }>;
  /** Starts a command; it is killed when disposed of. */
  readonly spawn: (command: readonly string[]) => Console & AsyncDisposable;
  /** Starts a machine with these options; {@link ownCredential} is in its $CREDENTIALS_DIRECTORY. */
  readonly start: (options: readonly string[]) => FullMachine;
  /** What --dry-run=json says for these options. */
  readonly plan: (options: readonly string[]) => Promise<Plan>;
}

export interface FullMachine extends Console, AsyncDisposable {
  /** Waits until the service manager has been told the status `Guest: TOPIC ...`; gives it. */
  report(topic: string): Promise<string>;
  /** Waits until the service manager has been told that the machine is ready. */
  ready(): Promise<void>;
  /** Exit status and standard error. */
  readonly end: () => Promise<readonly [number | null, string]>;
}

/** Name of a credential that our own service manager gives us, and that the guest gets; the file for it is `own/NAME`. */
export const ownCredential = 'word';

/** What the machine has, with contents that are no zeros, so that the host has blocks to give back. */
const makeFiles = `set -e
cd "$1"
mkdir 'data, one' fixed own
printf 'from our unit' > own/word
echo host | tee 'data, one/file' > fixed/file
for name in root blk nvme; do head -c 8M /dev/urandom > $name.raw; done
qemu-img convert -f raw -O qcow2 blk.raw scsi.qcow2
qemu-img convert -f raw -O qcow2 -o compat=0.10 blk.raw old.qcow2
for format in vmdk vdi vhdx; do qemu-img create -q -f $format disk.$format 8M; done
head -c 2M /dev/urandom > seed.iso
printf 'from\\na file' > credential`;

/** Answers on a Unix socket, as a daemon that keeps secrets does. */
const credentialServer = `const server = require('node:net').createServer((client) => client.end('from a socket'));
server.listen(process.argv[1], () => console.log('listening'));`;

/** Sends a word to a port by TCP and prints what comes back. */
const sendTcp = `const [address, port] = process.argv.slice(1);
require('node:net').connect(Number(port), address).on('error', (error) => console.log(error.code))
  .on('data', (data) => process.stdout.write(data)).end('tcp word\\n');`;

/** The same by UDP, which may lose it. */
const sendUdp = `const socket = require('node:dgram').createSocket('udp4');
const again = setInterval(send, 500);
function send() { socket.send('udp word', Number(process.argv[1]), '127.0.0.1'); }
socket.on('message', (data) => { process.stdout.write(data); clearInterval(again); socket.close(); });
send();`;

function options({ directory, port, ephemeral, elsewhere }: Host): string[] {
  const at = (name: string) => `${directory}/${name}`;
  return [
    ...['--tpm=yes', '--notify-ready=yes', '--discard-disk=yes'],
    ...[`--image=${at('root.raw')}`, '--grow-image=32M'],
    `--extra-drive=${at('blk.raw')}`,
    `--extra-drive=qcow2:virtio-scsi:${at('scsi.qcow2')}`,
    `--extra-drive=nvme:${at('nvme.raw')}`,
    `--extra-drive=raw:scsi-cd:${at('seed.iso')}`,
    ...['vmdk', 'vdi', 'vhdx'].map((format) => `--extra-drive=${at(`disk.${format}`)}`),
    `--extra-drive=${at('old.qcow2')}`,
    ...(ephemeral ? ['--ephemeral', `--extra-drive=${elsewhere}`] : []),
    `--bind=${at('data, one')}:/data one`,
    `--bind-ro=${at('fixed')}:/fixed`,
    '--bind-ro=/usr',
    '--set-credential=probe.set:from the\\ncommand line',
    `--load-credential=probe.file:${at('credential')}`,
    `--load-credential=probe.socket:${at('credential.socket')}`,
    `--load-credential=probe.own:${ownCredential}`,
    '--smbios11=probe-string',
    ...['--network-tap', '--network-user-mode'],
    ...[`--port=${port}:7`, `--port=0.0.0.0:${port + 1}:7`, `--port=127.0.0.1:${port}:7/udp`],
    'quiet',
  ];
}

/** Of the guest's shell: `tell` says something over the ready channel. */
const functions = [
  'port=/dev/$(basename $(dirname $(grep -l org.vmspawn.notify /sys/class/virtio-ports/*/name)))',
  'tell() { echo "$*" > $port; }',
  `strings11() { tr '\\0' '\\n' < /sys/firmware/dmi/tables/DMI; }`,
  'credential() { strings11 | sed -n "s/^io.systemd.credential.binary:$1=//p"; }',
];

/** Mounts what the credential fstab.extra says, below /m, where the host's programs then run. */
const mountAll = `credential fstab.extra | base64 -d > /fstab
while read -r what where type options rest; do
where=/m$(printf "$where"); mkdir -p "$where"; mount -t $type -o \${options%,x-initrd.mount} $what "$where" || echo "$where"
done < /fstab; mkdir /m/dev; mount -t devtmpfs devtmpfs /m/dev; for name in bin lib lib64; do ln -s usr/$name /m/$name; done`;

const mounts = `tell STATUS=mounts $(awk '$3 == "virtiofs" { split($4, o, ","); print $1 "=" $2 ":" o[1] }' /proc/mounts | tr '\\\\' '/')`;

const disks = `until [ -e /sys/block/sda ] && [ -e /sys/block/sr0 ] && [ -e /sys/block/nvme0n1 ]; do sleep 0.1; done
tell STATUS=disks $(for disk in /sys/block/vd* /sys/block/nvme*n1 /sys/block/sd* /sys/block/sr*; do
serial=$(cat $disk/serial 2> /dev/null || tr -d ' ' 2> /dev/null < $disk/device/serial || tail -c +5 $disk/device/vpd_pg80 2> /dev/null)
echo \${disk##*/}=\${serial:--}:$(($(cat $disk/size) / 2048)); done)`;

/** Where the guest writes: behind what it discards later. */
const place = 7 * 1024 * 1024;

/** Writes to every drive that takes it, and reads that from the drive. */
const writes = `for disk in /dev/vd? /dev/sda /dev/nvme0n1; do \
echo written | dd of=$disk bs=512 seek=${place / 512} conv=notrunc,fsync 2> /dev/null; echo 1 > /proc/sys/vm/drop_caches; \
dd if=$disk bs=512 skip=${place / 512} count=1 2> /dev/null | head -n 1; done`;

const credentials = `tell STATUS=credentials $(for name in set file socket own; do echo $name=$(credential probe.$name); done) $(strings11 | grep -o 'probe-string$')`;

const tpm =
  'tell STATUS=tpm $(cat /sys/class/tpm/tpm0/tpm_version_major) $(wc -c < /sys/class/tpm/tpm0/pcr-sha256/0)';

const dhcp = `printf '#!/bin/sh\\n[ "$1" != bound ] || ip addr add $ip/24 dev $interface\\n' > /dhcp; chmod +x /dhcp
ip link set lo up; ip link set eth0 up; ip link set eth1 up; udhcpc -q -n -f -t 20 -i eth1 -s /dhcp > /dev/null 2>&1`;

const addresses = `tell STATUS=addresses $(for nic in eth0 eth1; do echo $nic=$(cat /sys/class/net/$nic/address)$(ip -4 -o addr show $nic | awk '{ print "=" $4 }'); done)`;

const udpServer = `my $s = IO::Socket::INET->new(Proto => "udp", LocalPort => 7) or die; print "up\\n"; while ($s->recv(my $word, 100)) { $s->send("$word came") }`;

/**
 * A machine with everything that one can have, started once; the guest looks from inside and reports over its ready
 * channel, by the statuses that the service manager gets. Throws AssertionError.
 */
export async function checkFullMachine(host: Host): Promise<void> {
  const { directory, port, ephemeral, check, node } = host;
  const at = (name: string) => `${directory}/${name}`;
  await check(['sh', '-c', makeFiles, 'sh', directory]);
  const before = await seenFromOutside(host);
  const interfaces = (await check(['ls', '/sys/class/net'])).stdout;
  const words = options(host);
  await using server = host.spawn([node, '-e', credentialServer, at('credential.socket')]);
  await server.seen(/listening/);
  const plan = await host.plan(words);
  await using machine = host.start(words);
  const inGuest = await smallShell(machine);
  for (const line of functions) assert.equal(await inGuest(line), '');
  /** Runs a command that tells something; gives the words after the first one. */
  const report = async (topic: string, command: string): Promise<string[]> => {
    assert.equal(await inGuest(command.replaceAll('\n', '; ').replaceAll('do;', 'do')), '');
    return (await machine.report(topic)).split(' ').slice(2);
  };

  assert.equal(await inGuest(mountAll.replaceAll('\n', '; ').replaceAll('do;', 'do')), '');
  assert.deepEqual(await report('mounts', mounts), [
    'mnt0=/m/data/040one:rw',
    'mnt1=/m/fixed:ro',
    'mnt2=/m/usr:ro',
  ]);
  assert.equal(await inGuest('cat "/m/data one/file" /m/fixed/file'), 'host\nhost\n');
  await inGuest('echo guest | dd of="/m/data one/new" conv=fsync; echo x > /m/fixed/new');
  assert.equal((await check(['cat', at('data, one/new')])).stdout, 'guest\n');
  assert.equal((await check(['ls', at('fixed')])).stdout, 'file\n');

  assert.deepEqual(await report('disks', disks), [
    'vda=root.raw:32',
    'vdb=blk.raw:8',
    'vdc=disk.vmdk:8',
    'vdd=disk.vdi:8',
    'vde=disk.vhdx:8',
    'vdf=old.qcow2:8',
    ...(ephemeral ? ['vdg=disk.raw:48'] : []),
    'nvme0n1=nvme.raw:8',
    'sda=scsi.qcow2:8',
    'sr0=-:2',
  ]);
  assert.equal(await inGuest('ls -d /sys/bus/pci/devices/0000:00:1e.* | wc -l'), '8\n');
  assert.equal(await inGuest(writes), 'written\n'.repeat(ephemeral ? 9 : 8));
  if (ephemeral) {
    assert.deepEqual(await seenFromOutside(host), before);
    await overlays(host, plan);
  } else {
    await writtenThrough(host);
    await discards(host, inGuest);
  }

  const base64 = (text: string) => Buffer.from(text).toString('base64');
  assert.deepEqual(await report('credentials', credentials), [
    `set=${base64('from the\ncommand line')}`,
    `file=${base64('from\na file')}`,
    `socket=${base64('from a socket')}`,
    `own=${base64('from our unit')}`,
    'probe-string',
  ]);
  // 32 bytes in hexadecimal and a line feed.
  assert.deepEqual(await report('tpm', tpm), ['2', '65']);

  await inGuest(dhcp.replaceAll('\n', '; '));
  const macs = plan.qemu.configuration.devices.flatMap(({ mac }) => (mac === undefined ? [] : [mac]));
  assert.deepEqual(await report('addresses', addresses), [`eth0=${macs[0]}`, `eth1=${macs[1]}=10.0.2.15/24`]);
  assert.equal(await inGuest('nc -ll -p 7 -e head -n 1 & true'), '');
  assert.match(
    await inGuest(
      `chroot /m perl -MIO::Socket::INET -e '$| = 1; ${udpServer}' > /udp & until grep -s up /udp; do sleep 0.1; done`,
    ),
    /up/,
  );
  const tcp = async (address: string, to: number) =>
    (await check([node, '-e', sendTcp, address, `${to}`])).stdout;
  assert.equal(await tcp('127.0.0.1', port), 'tcp word\n');
  assert.equal(await tcp('127.0.0.2', port), 'ECONNREFUSED\n');
  assert.equal(await tcp('127.0.0.2', port + 1), 'tcp word\n');
  assert.equal((await check([node, '-e', sendUdp, `${port}`])).stdout, 'udp word came');

  await ioUring(host, plan);
  await inGuest('tell READY=1; tell EXIT_STATUS=7');
  await machine.ready();
  machine.type('sync; poweroff -f');
  const [status, said] = await machine.end();
  assert.equal(status, 7, said);
  assert.deepEqual(missingDrivers(said), []);
  if (ephemeral) assert.deepEqual(await seenFromOutside(host), before);
  assert.equal((await check(['ls', '/sys/class/net'])).stdout, interfaces);
}

/** All files beside those that are shared with the guest, with hashes of their bytes. */
async function seenFromOutside({ directory, check }: Host): Promise<string> {
  const script = `cd "$1" && find . -name '*.socket' -o -path './data*' -o -type f -exec sha256sum {} + | sort`;
  return (await check(['sh', '-c', script, 'sh', directory])).stdout;
}

/** The machine writes to files without a name: beside the image where that is possible, else in /var/tmp. */
async function overlays(host: Host, plan: Plan): Promise<void> {
  const open = await descriptorsOfQemu(host, plan);
  // Each is there more than once, for QEMU and for its block layer.
  const files = new Set([...open.matchAll(/ -> (\/.*\/[^/]*) \(deleted\)$/gm)].map(([, path = '']) => path));
  const places = [...files]
    .map((path) => dirname(path))
    .filter((place) => place === host.directory || place === '/var/tmp');
  assert.deepEqual(places.sort(), [...Array.from({ length: 8 }, () => host.directory), '/var/tmp'], open);
}

/** What the guest has written and synced is in the files of the host, whichever type the drive has. */
async function writtenThrough({ directory, check }: Host): Promise<void> {
  const script = `cd "$1" && for name in root blk nvme; do dd if=$name.raw bs=1 skip=${place} count=8 2> /dev/null; done
qemu-img convert -U -f qcow2 -O raw scsi.qcow2 seen && dd if=seen bs=1 skip=${place} count=8 2> /dev/null; rm seen`;
  assert.equal((await check(['sh', '-c', script, 'sh', directory])).stdout, 'written\n'.repeat(4));
}

/** What the guest discards takes no space on the host any more, with every type of drive that can be written to. */
async function discards(host: Host, inGuest: (command: string) => Promise<string>): Promise<void> {
  const mebibytes = async (name: string) =>
    Number((await host.check(['stat', '-c', '%b', `${host.directory}/${name}`])).stdout) / 2048;
  for (const [device, name] of [
    ['vda', 'root.raw'],
    ['sda', 'scsi.qcow2'],
    ['nvme0n1', 'nvme.raw'],
    // Version 2 of the format.
    ['vdf', 'old.qcow2'],
  ] as const) {
    assert.ok((await mebibytes(name)) >= 8, name);
    assert.equal(await inGuest(`blkdiscard -o 0 -l 6291456 /dev/${device}`), '');
    assert.ok((await mebibytes(name)) < 4, `${name} after a discard`);
  }
}

/** Where the plan says io_uring, QEMU has one. */
async function ioUring(host: Host, plan: Plan): Promise<void> {
  const wanted = plan.qemu.configuration.blockNodes.some(({ aio }) => aio === 'io_uring');
  const open = await descriptorsOfQemu(host, plan);
  assert.match(open, /anon_inode/);
  assert.equal(/io_uring/.test(open), wanted);
}

/** What QEMU has open, as ls(1) shows it. */
async function descriptorsOfQemu({ check }: Host, plan: Plan): Promise<string> {
  const script =
    'for pid in $(pgrep qemu-system); do if grep -q "guest=$1," /proc/$pid/cmdline; then ls -l /proc/$pid/fd; fi; done';
  return (await check(['sh', '-c', script, 'sh', plan.machine])).stdout;
}
