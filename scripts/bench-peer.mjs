// What forwarding the console costs, against systemd-vmspawn 262: both boot the small guest without KVM in the testbed of
// Debian testing, with its QEMU; the guest writes 4 MB of lines to hvc0, and standard output is a pipe. Told are the
// processor time of the supervisor and the time until all is there. Nothing here is asserted.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { cpuOf, guest, report, smallMachine } from './bench-guest.mjs';

const rounds = Math.min(Number(process.env.BENCH_ROUNDS ?? 3), 3);
const megabytes = 4;
const tree = process.env.VMSPAWN_TESTBED_DEBIAN_TESTING;
if (tree === undefined) throw new Error('VMSPAWN_TESTBED_DEBIAN_TESTING names no tree; run npm run bench');
const scratch = mkdtempSync(join(tmpdir(), 'vs-peer-'));
const inside = join('/guests', basename(guest));

const keeper = spawn(
  resolve('test/testbed/boot'),
  [
    'debian-testing',
    tree,
    `${resolve('.')}:vmspawn`,
    `${process.execPath}:usr/local/bin/node`,
    `${dirname(guest)}:guests`,
  ],
  { detached: true, stdio: ['pipe', 'pipe', 'inherit'] },
);
try {
  const line = await new Promise((done, failed) => {
    createInterface(keeper.stdout).once('line', done);
    keeper.once('exit', () => failed(new Error('The testbed did not start')));
  });
  const [systemd] = line.split(' ');
  await run(systemd, ['sh', '-c', 'until systemctl is-system-running --wait >/dev/null; do sleep 1; done']);
  await run(systemd, ['sh', '-c', 'cat >/var/tmp/disk.raw'], rootDisk());
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    theirs.push(await flood(systemd, peer()));
    ours.push(
      await flood(systemd, [
        '/vmspawn/bin/vmspawn',
        ...smallMachine('bench-ours').map((word) => word.replace(guest, inside)),
      ]),
    );
  }
  const name = `guest, ${megabytes} MB`;
  const values = (key) => [ours.map((one) => one[key]), 'systemd-vmspawn', theirs.map((one) => one[key])];
  report(`${name}: seconds until all is there`, 's', ...values('seconds'));
  report(`${name}: processor seconds of who forwards`, 's', ...values('cpu'));
} finally {
  // Takes everything in the testbed with it.
  keeper.stdin.end();
  rmSync(scratch, { recursive: true, force: true });
}

/** It boots no kernel without a disk that has a root partition. */
function peer() {
  return [
    'systemd-vmspawn',
    '--quiet',
    '--machine=bench-peer',
    '--image=/var/tmp/disk.raw',
    `--linux=${inside}/vmlinuz`,
    `--initrd=${inside}/initrd`,
    '--ram=256M',
    '--tpm=no',
    '--kvm=no',
    '--vsock=no',
    '--pass-ssh-key=no',
    '--register=no',
    '--console=interactive',
    'console=hvc0',
  ];
}

function rootDisk() {
  const file = join(scratch, 'disk.raw');
  writeFileSync(file, '');
  truncateSync(file, 32 * 1024 * 1024);
  const input = 'label: gpt\nstart=1MiB, size=30MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n';
  execFileSync('sfdisk', ['-q', file], { input });
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-E', 'offset=1048576', file, '30M']);
  return readFileSync(file);
}

/** A command in the testbed. */
function start(systemd, words) {
  const child = spawn('nsenter', ['-t', systemd, '-m', '-p', '-u', '-i', '-n', '-C', '--', ...words], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  return child;
}

async function run(systemd, words, input = '') {
  const child = start(systemd, words);
  child.stdin.end(input);
  await new Promise((done) => child.on('exit', done));
}

async function flood(systemd, words) {
  const child = start(systemd, words);
  let said = '';
  let tail = '';
  let waiting = () => {};
  child.stderr.on('data', (data) => {
    said = (said + data).slice(-2000);
  });
  child.stdout.on('data', (chunk) => {
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 400))).slice(-800);
    waiting();
  });
  const ended = new Promise((done) => child.on('exit', done));
  const seen = (text) =>
    new Promise((done, failed) => {
      waiting = () => tail.includes(text) && done();
      waiting();
      void ended.then(() => failed(new Error(`${words[0]} ended: ${said}${tail}`)));
    });
  await seen('vmspawn-small: ready');
  // nsenter waits for it in the other PID namespace.
  const [pid] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').split(' ');
  const before = cpuOf(pid);
  const begin = performance.now();
  child.stdin.write(`flood ${megabytes}\n`);
  await seen('flood: done');
  const result = { seconds: (performance.now() - begin) / 1000, cpu: cpuOf(pid) - before };
  await run(systemd, ['pkill', '-KILL', 'qemu-system']);
  await ended;
  return result;
}
