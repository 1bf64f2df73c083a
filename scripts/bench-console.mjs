// What forwarding the console costs, as ratios within one run on one machine, against socat(1) between the same two ends:
//   guest      the small guest writes 2 MB of lines: processor time of who forwards them, and time until all are there;
//              through pipes, in a terminal with and without a tint, and with two attached readers (over none);
//              nobody forwards when QEMU writes to a file, which shows what the guest can do at best
//   stand-in   a program in QEMU's place writes as fast as it can
//   key        from a key's press to its echo by a program in QEMU's place
// Nothing here is asserted.
import { execFileSync, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawn as spawnInTerminal } from '@lydell/node-pty';
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
  const plain = { ours: [], theirs: [] };
  const terminal = { tinted: [], plain: [], theirs: [] };
  const attached = [];
  const written = [];
  for (let round = 0; round < rounds; round++) {
    plain.theirs.push(await floodThrough(bareGuest()));
    plain.ours.push(await floodThrough(start(program, machine)));
    written.push(await floodThrough(fileGuest()));
    attached.push(await floodThrough(start(program, machine), 2));
    terminal.theirs.push(await floodThrough(bareGuest(startInTerminal)));
    terminal.plain.push(await floodThrough(startInTerminal(program, [...machine, '--background='])));
    terminal.tinted.push(await floodThrough(startInTerminal(program, [...machine, '--background=44'])));
  }
  report(
    `guest, ${megabytes} MB: seconds until all is there`,
    plain.ours,
    written,
    ({ seconds }) => seconds,
    'in a file, nobody forwards',
  );
  for (const [name, ours, theirs, base] of [
    ['guest', plain.ours, plain.theirs],
    ['guest, in a terminal', terminal.plain, terminal.theirs],
    ['guest, in a terminal, tinted', terminal.tinted, terminal.theirs],
    ['guest, two readers attached', attached, plain.ours, 'without'],
  ]) {
    report(
      `${name}, ${megabytes} MB: seconds until all is there`,
      ours,
      theirs,
      ({ seconds }) => seconds,
      base,
    );
    report(`${name}: processor seconds of who forwards`, ours, theirs, ({ cpu }) => cpu, base);
    report(`${name}: megabytes that arrived`, ours, theirs, ({ bytes }) => bytes / 1e6, base);
  }
}

function bareScript() {
  const file = join(scratch, 'bare.sh');
  // A bench that was killed has left it behind, and the script would not start.
  rmSync(runtime, { recursive: true, force: true });
  const script = execFileSync(program, [...machine, '--dry-run'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return { file, script: script.replace(/ *-mon[ =]'?chardev=console,mode=readline'?( \\\n)?/, '') };
}

/** QEMU with the same arguments, its console in a file that is looked at now and then. */
function fileGuest() {
  const { file, script } = bareScript();
  writeFileSync(file, script.replace('signal=off,mux=on', 'signal=off'));
  const console = join(scratch, 'console.txt');
  const fd = openSync(console, 'w+');
  const machineProcess = spawn('bash', [file], { stdio: ['pipe', fd, 'ignore'], detached: true });
  const child = new EventEmitter();
  const stdout = new EventEmitter();
  const buffer = Buffer.alloc(4 * 1024 * 1024);
  let position = 0;
  const timer = setInterval(() => {
    const length = readSync(fd, buffer, 0, buffer.length, position);
    position += length;
    if (length > 0) stdout.emit('data', buffer.subarray(0, length));
  }, 50);
  machineProcess.on('exit', () => {
    clearInterval(timer);
    closeSync(fd);
    child.emit('exit');
  });
  const kill = () => process.kill(-machineProcess.pid, 'SIGKILL');
  return Object.assign(child, { pid: machineProcess.pid, stdin: machineProcess.stdin, stdout, kill });
}

/** QEMU with the same arguments, its console on a socket, and socat between that and pipes or a terminal. */
function bareGuest(starting = start) {
  const { file, script } = bareScript();
  const socket = join(scratch, 'console.sock');
  rmSync(socket, { force: true });
  writeFileSync(
    file,
    script.replace(
      'stdio,id=console,signal=off,mux=on',
      `socket,id=console,path=${socket},server=on,wait=on`,
    ),
  );
  const machineProcess = spawn('bash', [file], { stdio: ['ignore', 'ignore', 'ignore'], detached: true });
  const user = starting === start ? '-' : '-,raw,echo=0';
  const child = starting('sh', [
    '-c',
    `while ! [ -S ${socket} ]; do sleep 0.05; done; exec socat ${user} UNIX-CONNECT:${socket}`,
  ]);
  child.on('exit', () => process.kill(-machineProcess.pid, 'SIGKILL'));
  return child;
}

function start(command, words, options = {}) {
  return spawn(command, words, { stdio: ['pipe', 'pipe', 'ignore'], ...options });
}

/** The same in a terminal. */
function startInTerminal(command, words) {
  const terminal = spawnInTerminal(command, words, { cols: 100, rows: 30 });
  const child = new EventEmitter();
  const stdout = new EventEmitter();
  terminal.onData((text) => stdout.emit('data', Buffer.from(text)));
  terminal.onExit(() => child.emit('exit'));
  const stdin = { on() {}, write: (text) => terminal.write(text.replace('\n', '\r')) };
  return Object.assign(child, { pid: terminal.pid, stdin, stdout });
}

/** In a terminal the supervisor has a process in front of it. */
function supervisorOf(pid) {
  if (readFileSync(`/proc/${pid}/comm`, 'latin1') !== 'vmspawn-front\n') return pid;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ')[0]);
}

async function attach() {
  const child = start(join(dirname(program), 'vmspawnctl'), ['attach', '--read-only', 'bench-console']);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.stdout.resume();
  return child;
}

async function floodThrough(child, readers = 0) {
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
  const attached = await Promise.all(Array.from({ length: readers }, attach));
  const pid = supervisorOf(child.pid);
  const before = cpuOf(pid);
  bytes = 0;
  const begin = performance.now();
  child.stdin.write(`flood ${megabytes}\n`);
  await seen('flood: done');
  const result = { seconds: (performance.now() - begin) / 1000, cpu: cpuOf(pid) - before, bytes };
  for (const one of attached) one.kill();
  if (child.kill) child.kill('SIGKILL');
  else process.kill(pid, 'SIGKILL');
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

function report(name, ours, theirs, value, base = 'socat') {
  reportRatio(name, '', ours.map(value), base, theirs.map(value));
}
