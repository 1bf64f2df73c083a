// What forwarding the console costs, as ratios within one run on one machine, against socat(1) between the same two ends:
//   guest      the small guest writes 2 MB of lines: processor time of who forwards them, and time until all are there
//   stand-in   a program in QEMU's place writes as fast as it can
//   key        from a key's press to its echo by a program in QEMU's place
// Nothing here is asserted.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuOf, median, program, report as reportRatio, smallMachine } from './bench-guest.mjs';

const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const megabytes = 2;
const scratch = mkdtempSync(join(tmpdir(), 'vs-console-'));
const qemu = execFileSync('sh', ['-c', 'command -v qemu-system-x86_64'], { encoding: 'utf8' }).trim();
const runtime = '/run/vmspawn/bench-console';
const machine = [...smallMachine('bench-console'), '--manager=none'];

try {
  await flood();
  await standIn();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function flood() {
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    theirs.push(await floodThrough(bareGuest()));
    ours.push(await floodThrough(start(program, machine)));
  }
  report(`guest, ${megabytes} MB: seconds until all is there`, ours, theirs, ({ seconds }) => seconds);
  report(`guest, ${megabytes} MB: processor seconds of who forwards`, ours, theirs, ({ cpu }) => cpu);
  report(`guest, ${megabytes} MB: megabytes that arrived`, ours, theirs, ({ bytes }) => bytes / 1e6);
}

/** QEMU with the same arguments, its console on a socket, and socat between that and pipes. */
function bareGuest() {
  const file = join(scratch, 'bare.sh');
  const socket = join(scratch, 'console.sock');
  // A bench that was killed has left it behind, and the script would not start.
  rmSync(runtime, { recursive: true, force: true });
  rmSync(socket, { force: true });
  const script = execFileSync(program, [...machine, '--dry-run'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const bare = script.replace(
    /stdio,id=console,signal=off,mux=on/,
    `socket,id=console,path=${socket},server=on,wait=on`,
  );
  writeFileSync(file, bare.replace(/ *-mon[ =]'?chardev=console,mode=readline'?( \\\n)?/, ''));
  const machineProcess = spawn('bash', [file], { stdio: ['ignore', 'ignore', 'ignore'], detached: true });
  const child = start('sh', [
    '-c',
    `while ! [ -S ${socket} ]; do sleep 0.05; done; exec socat - UNIX-CONNECT:${socket}`,
  ]);
  child.on('exit', () => process.kill(-machineProcess.pid, 'SIGKILL'));
  return child;
}

function start(command, words, options = {}) {
  return spawn(command, words, { stdio: ['pipe', 'pipe', 'ignore'], ...options });
}

async function floodThrough(child) {
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.stdin.on('error', () => {});
  let tail = '';
  let bytes = 0;
  let waiting = () => {};
  child.stdout.on('data', (chunk) => {
    bytes += chunk.length;
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 200))).slice(-400);
    waiting();
  });
  const seen = (text) =>
    new Promise((resolve) => {
      waiting = () => tail.includes(text) && resolve();
      waiting();
    });
  await seen('vmspawn-small: ready');
  const before = cpuOf(child.pid);
  bytes = 0;
  const begin = performance.now();
  child.stdin.write(`flood ${megabytes}\n`);
  await seen('flood: done');
  const result = { seconds: (performance.now() - begin) / 1000, cpu: cpuOf(child.pid) - before, bytes };
  child.kill('SIGKILL');
  await ended;
  rmSync(runtime, { recursive: true, force: true });
  return result;
}

/** A program in QEMU's place: speaks as much QMP as a start needs, writes without a pause, then echoes what comes. */
async function standIn() {
  const size = 256 * 1024 * 1024;
  const keys = 300;
  const code = join(scratch, 'stand-in.cjs');
  writeFileSync(
    code,
    `const { writeSync, readSync } = require('node:fs');
const { Socket } = require('node:net');
const write = (fd, keyboard = fd) => {
  const chunk = Buffer.alloc(64 * 1024, 'x'.repeat(78) + '\\n');
  for (let sent = 0; sent < ${size}; ) sent += writeSync(fd, chunk);
  const key = Buffer.alloc(1);
  for (let i = 0; i < ${keys}; i++) {
    if (readSync(keyboard, key) === 0) break;
    writeSync(fd, key);
  }
};
const words = process.argv.slice(2);
if (words[0] === 'plain') {
  const server = require('node:net').createServer({ pauseOnConnect: true }, (socket) => {
    // Blocking from here on, as QEMU's end is not; nobody else uses it.
    socket._handle.setBlocking?.(true);
    write(socket._handle.fd);
    process.exit(0);
  });
  server.listen(words[1]);
} else {
  const qmp = new Socket({ fd: Number(words.find((word) => word.startsWith('socket,id=qmp,')).match(/fd=(\\d+)/)[1]) });
  const say = (message) => qmp.write(JSON.stringify(message) + '\\n');
  say({ QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 }, package: '' }, capabilities: [] } });
  let text = '';
  qmp.on('data', (chunk) => {
    text += chunk;
    for (let end = text.indexOf('\\n'); end !== -1; end = text.indexOf('\\n')) {
      const { execute, id } = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      say({ return: {}, id });
      if (execute !== 'cont') continue;
      setTimeout(() => {
        write(1, 0);
        process.exit(0);
      }, 50);
    }
  });
}
`,
  );
  writeFileSync(
    join(scratch, 'qemu-system-x86_64'),
    `#!/bin/sh\ncase "$*" in *guest=*) exec '${process.execPath}' ${code} "$@" ;; esac\nexec ${qemu} "$@"\n`,
    { mode: 0o755 },
  );
  const env = { ...process.env, PATH: `${scratch}:${process.env.PATH}` };
  const socket = join(scratch, 'plain.sock');
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    spawn(process.execPath, [code, 'plain', socket], { stdio: 'ignore' });
    theirs.push(
      await through(
        start('sh', [
          '-c',
          `while ! [ -S ${socket} ]; do sleep 0.05; done; exec socat - UNIX-CONNECT:${socket}`,
        ]),
        size,
        keys,
      ),
    );
    rmSync(socket, { force: true });
    // A serial port: the only console that is held back and loses nothing when its reader is the slower one.
    ours.push(await through(start(program, [...machine, '--console-transport=serial'], { env }), size, keys));
  }
  report(`stand-in, ${size / 1048576} MiB: MiB a second`, ours, theirs, ({ rate }) => rate);
  report('stand-in: milliseconds from key to echo, median', ours, theirs, ({ echo }) => echo);
}

async function through(child, size, keys) {
  child.setMaxListeners(0);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.stdin.on('error', () => {});
  let bytes = 0;
  let begin = 0;
  let waiting = () => {};
  child.stdout.on('data', (chunk) => {
    begin ||= performance.now();
    bytes += chunk.length;
    waiting();
  });
  const seen = (count) =>
    new Promise((resolve, reject) => {
      waiting = () => bytes >= count && resolve();
      waiting();
      child.on('exit', () => reject(new Error(`only ${bytes} of ${count} bytes arrived`)));
    });
  await seen(size);
  const rate = size / 1048576 / ((performance.now() - begin) / 1000);
  const echoes = [];
  for (let key = 1; key <= keys; key++) {
    const pressed = performance.now();
    child.stdin.write('k');
    await seen(size + key);
    echoes.push(performance.now() - pressed);
  }
  await ended;
  rmSync(runtime, { recursive: true, force: true });
  return { rate, echo: median(echoes) };
}

function report(name, ours, theirs, value) {
  reportRatio(name, '', ours.map(value), 'socat', theirs.map(value));
}
