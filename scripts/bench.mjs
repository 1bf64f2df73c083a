// What vmspawn costs, as ratios within one run on one machine:
//   exec       from its start to QEMU's exec, over an empty `node` start
//   userspace  from its start to the small guest's first line, over bare QEMU with the same arguments
//   binds      both with eight --bind=, over the same with one
//   memory     PSS of the supervisor at rest while the machine runs, bare, with binds and with drives
// Nothing here is asserted. Runs alternate, so that a machine that becomes slower hurts both sides alike.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { program, report as reportRatio, smallMachine } from './bench-guest.mjs';

const rounds = Number(process.env.BENCH_ROUNDS ?? 11);
const scratch = mkdtempSync(join(tmpdir(), 'vs-bench-'));
const mark = join(scratch, 'mark');
const machine = smallMachine('bench');
// Certificates cost Node 20 another 40 ms at its start, which bin/vmspawn avoids; the empty node must not be slower for them.
const { NODE_EXTRA_CA_CERTS: _certificates, NODE_OPTIONS: _options, ...environment } = process.env;

try {
  await firstStart();
  const marking = markingQemu();
  await timeToExec(marking);
  const exec = [];
  const node = [];
  for (let round = 0; round < rounds; round++) {
    node.push(await timed('node', ['-e', '0']));
    exec.push(await timeToExec(marking));
  }
  report('start to exec of QEMU', exec, 'empty node start', node);

  const supervised = [];
  const bare = [];
  const words = bareArguments();
  for (let round = 0; round < Math.min(rounds, 7); round++) {
    bare.push(await timeToLine('bash', [words]));
    supervised.push(await timeToLine(program, machine));
  }
  report('start to the first userspace line', supervised, 'bare QEMU, same arguments', bare);

  const [one, eight] = [1, 8].map((count) => [...machine, ...binds(count)]);
  const execs = { one: [], eight: [] };
  for (let round = 0; round < rounds; round++) {
    execs.one.push(await timeToExec(marking, one));
    execs.eight.push(await timeToExec(marking, eight));
  }
  report('start to exec of QEMU with eight binds', execs.eight, 'with one', execs.one);
  const lines = { one: [], eight: [] };
  for (let round = 0; round < Math.min(rounds, 7); round++) {
    lines.one.push(await timeToLine(program, one));
    lines.eight.push(await timeToLine(program, eight));
  }
  report('start to the first userspace line with eight binds', lines.eight, 'with one', lines.one);

  // V8 takes and gives back pages of 256 KiB, and not always at the same moment.
  const variants = [
    ['alone', machine],
    ['with one bind', one],
    ['with eight binds', eight],
    ['with four drives', [...machine, ...drives(4)]],
  ];
  const measured = variants.map(() => []);
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const [index, [, words]] of variants.entries()) measured[index].push(await memory(words));
  }
  for (const [index, [name]] of variants.entries()) {
    report(`memory of the supervisor at rest (PSS), ${name}`, measured[index], 'alone', measured[0], 'kB');
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** The first start probes QEMU and keeps what it finds; that is once per boot of the host. */
async function firstStart() {
  await timeToLine(program, machine);
}

function start(command, words, options = {}) {
  return spawn(command, words, { env: environment, stdio: ['pipe', 'pipe', 'inherit'], ...options });
}

function timed(command, words) {
  const begin = performance.now();
  const child = start(command, words, { stdio: 'ignore' });
  return new Promise((resolve) => child.on('exit', () => resolve(performance.now() - begin)));
}

/**
 * The QEMU in $PATH is a script here that leaves a mark when it is to run a machine and passes everything else (the probe
 * of what QEMU can do, once) on to the real one. The mark's time is what counts; nobody has to watch, which would cost.
 */
function markingQemu() {
  const real = execFileSync('sh', ['-c', 'command -v qemu-system-x86_64'], { encoding: 'utf8' }).trim();
  const file = join(scratch, 'qemu-system-x86_64');
  writeFileSync(file, `#!/bin/sh\ncase "$*" in *guest=*) : >${mark}; exit 1 ;; esac\nexec ${real} "$@"\n`, {
    mode: 0o755,
  });
  return { ...environment, PATH: `${scratch}:${environment.PATH}` };
}

function binds(count) {
  return Array.from({ length: count }, (_, index) => {
    const directory = join(scratch, `bind${index}`);
    mkdirSync(directory, { recursive: true });
    return `--bind=${directory}:/bind${index}`;
  });
}

function drives(count) {
  return Array.from({ length: count }, (_, index) => {
    const file = join(scratch, `drive${index}.raw`);
    writeFileSync(file, '');
    truncateSync(file, 1024 ** 3);
    return `--extra-drive=${file}`;
  });
}

async function timeToExec(env, words = machine) {
  rmSync(mark, { force: true });
  const begin = performance.timeOrigin + performance.now();
  const child = spawn(program, words, { env, stdio: 'ignore' });
  await new Promise((resolve) => child.on('exit', resolve));
  return Number(statSync(mark, { bigint: true }).mtimeNs) / 1e6 - begin;
}

async function timeToLine(command, words) {
  const begin = performance.now();
  // A group of its own: the script of bare QEMU is a shell with QEMU in it.
  const child = start(command, words, { detached: true });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  let text = '';
  const time = await new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('vmspawn-small: up')) resolve(performance.now() - begin);
    });
    child.on('exit', () => reject(new Error(`${command} ended before the guest spoke: ${text.slice(-500)}`)));
  });
  process.kill(-child.pid, 'SIGKILL');
  await ended;
  rmSync('/run/vmspawn/bench', { recursive: true, force: true });
  return time;
}

/** The dry run's own script: what bare QEMU needs to do the same. */
function bareArguments() {
  const file = join(scratch, 'bare.sh');
  execFileSync('sh', ['-c', `${program} "$@" --dry-run >${file} 2>/dev/null`, 'sh', ...machine], {
    env: environment,
  });
  return file;
}

/** Kilobytes of a supervisor that has done nothing for a while. */
async function memory(words) {
  const child = start(program, words);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  let text = '';
  await new Promise((resolve) => {
    child.stdout.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('vmspawn-small: ready')) resolve();
    });
  });
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8');
  const [, kilobytes] = /^Pss:\s+(\d+) kB$/m.exec(rollup) ?? [];
  child.kill('SIGKILL');
  await ended;
  return Number(kilobytes);
}

function report(name, values, baseName, base, unit = 'ms') {
  reportRatio(name, unit, values, baseName, base, 0);
}
