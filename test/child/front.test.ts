import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { Scratch, Terminal, until } from '../console/session.ts';

const front = asset('dist', 'vmspawn-front');

/** A shell script behind the front, with pipes; `$fd` is its end of the socket. */
class Behind implements AsyncDisposable {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  output = '';

  constructor(script: string) {
    const words = ['sh', '-c', `fd=\${VMSPAWN_FRONT#terminal:}; fd=\${fd%:*}; echo pid $$; ${script}`];
    this.child = spawn(front, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.ended = new Promise((resolve) => this.child.on('exit', (code, signal) => resolve({ code, signal })));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async seen(text: string): Promise<void> {
    await until(() => this.output.includes(text), text);
  }

  /** PID of the shell behind it. */
  async program(): Promise<number> {
    return until(() => Number(/^pid (\d+)\n/.exec(this.output)?.[1]) || false, 'the program');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    const program = await this.program();
    if (existsSync(`/proc/${program}`)) process.kill(program, 'SIGKILL');
  }
}

function stopped(pid: number): boolean {
  return /^State:\s*T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
}

const wait = 'while :; do sleep 0.02; done';

test('it ends as the program does', async () => {
  for (const [script, code, signal] of [
    ['exit 0', 0, null],
    ['exit 7', 7, null],
    ['kill -TERM $$', null, 'SIGTERM'],
    ['kill -KILL $$', null, 'SIGKILL'],
  ] as const) {
    await using behind = new Behind(script);
    assert.deepEqual(await behind.ended, { code, signal }, script);
  }
  // Whoever ignores the end of children hands that on.
  const ignored = spawn('env', ['--ignore-signal=CHLD', front, 'sh', '-c', 'exit 3'], { stdio: 'ignore' });
  assert.equal(await new Promise((resolve) => ignored.on('exit', resolve)), 3);
  const missing = spawn(front, ['/nonexistent/program'], { stdio: 'ignore' });
  assert.equal(await new Promise((resolve) => missing.on('exit', resolve)), 127);
});

test('without room for the file it stands in front all the same', async () => {
  // Three descriptors of each process, one for signals, and the two ends of the socket.
  const words = ['-c', `ulimit -n 6; exec '${front}' sh -c 'echo "$VMSPAWN_FRONT"; kill -TERM $$'`];
  const child = spawn('sh', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const signal = await new Promise((resolve) => child.on('close', (_, name) => resolve(name)));
  assert.equal(signal, 'SIGTERM');
  assert.match(output, /^terminal:[45]\n$/);
});

test('signals that somebody sends to it are for the program', async () => {
  for (const signal of ['TERM', 'HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'TSTP']) {
    await using behind = new Behind(`trap 'exit 5' ${signal}; echo ready; ${wait}`);
    await behind.seen('ready');
    process.kill(behind.pid, `SIG${signal}`);
    assert.equal((await behind.ended).code, 5, signal);
  }
});

test('a program that listens gets them as bytes, and can let the front go', async () => {
  await using behind = new Behind(
    `eval "printf l >&$fd"; echo ready; eval "head -c 2 <&$fd" | od -An -tu1; eval "printf d >&$fd"; echo gone; ${wait}`,
  );
  await behind.seen('ready');
  // Until it has read that the program listens, a signal would come as one.
  await until(
    () => /^\d+ \(.*\) S/.test(readFileSync(`/proc/${behind.pid}/stat`, 'latin1')),
    'a quiet front',
  );
  process.kill(behind.pid, 'SIGTERM');
  process.kill(behind.pid, 'SIGHUP');
  assert.deepEqual(await behind.ended, { code: 0, signal: null });
  assert.match(behind.output, /\s(15\s+1|1\s+15)\n/);
  await behind.seen('gone');
  assert.ok(existsSync(`/proc/${await behind.program()}`));
});

test('a program hears that its front was killed', async () => {
  await using behind = new Behind(`echo ready; eval "cat <&$fd"; echo alone; ${wait}`);
  await behind.seen('ready');
  process.kill(behind.pid, 'SIGKILL');
  await behind.seen('alone');
});

test('it stops and goes on with the program', async () => {
  await using behind = new Behind(`trap 'exit 3' TERM; echo ready; ${wait}`);
  await behind.seen('ready');
  const program = await behind.program();
  process.kill(program, 'SIGSTOP');
  await until(() => stopped(behind.pid), 'a stopped front');
  process.kill(behind.pid, 'SIGCONT');
  await until(() => !stopped(program), 'a program that goes on');
  assert.equal(stopped(behind.pid), false);
  process.kill(behind.pid, 'SIGTERM');
  assert.equal((await behind.ended).code, 3);
});

test('in a terminal: a key is one signal, and Ctrl-Z stops the job', async () => {
  using scratch = new Scratch();
  // Nothing is started while keys come: a child that is stopped between vfork(2) and exec keeps its parent from stopping.
  const program =
    'sleep 1000 & trap "echo int" INT; trap "kill $!; exit 4" TERM; echo READY; while :; do wait; done';
  const script = `set -m; '${front}' sh -c '${program}'
    echo "stopped $?"; kill %1; fg >/dev/null; echo "status $?"`;
  await using terminal = new Terminal(script, scratch);
  await terminal.shows('READY');
  terminal.write('\x03');
  await terminal.shows('int');
  terminal.write('\x1a');
  await terminal.shows('stopped 147');
  await terminal.over();
  const said = terminal.output.toString('latin1');
  assert.match(said, /status 4\r/);
  assert.equal(said.match(/int\r\n/g)?.length, 1, said);
});

/** Runs a program that says what is to be done if it is killed, and dies of that. */
function killed(scratch: Scratch, program: string, then = ''): Terminal {
  writeFileSync(
    scratch.path('program'),
    `undo() { printf "$@" >/proc/self/fd/\${VMSPAWN_FRONT##*:}; }\n${program}\nkill -KILL $$`,
  );
  return new Terminal(
    `stty -g >before; '${front}' sh program; echo $? >status; stty -g >after; ${then}`,
    scratch,
  );
}

function assertRestored(scratch: Scratch): void {
  assert.equal(scratch.text('status'), '137\n');
  assert.match(scratch.text('before'), /^[0-9a-f:]+\n$/);
  assert.equal(scratch.text('after'), scratch.text('before'));
}

test('it puts a terminal in order that a killed program has left raw, as that wanted it, and touches no other', async () => {
  for (const [program, undone] of [
    [
      String.raw`undo '1\nFIRST, WHICH IS LONGER\0'; undo '1\nUNDONE\0'; stty raw -echo`,
      'UNDONE\x1b[c\x1b[5n',
    ],
    // More than there is room for.
    [String.raw`undo '1\n%05000d\0' 0; stty raw -echo`, ''],
    [String.raw`undo 'UNDONE\0'; stty raw -echo`, ''],
    ['stty raw -echo', ''],
    [String.raw`undo '60000\n\0'; stty raw -echo`, ''],
    [String.raw`undo '60000\nUNDONE\0'`, ''],
  ] as const) {
    using scratch = new Scratch();
    await using terminal = killed(scratch, program);
    await terminal.over();
    assertRestored(scratch);
    assert.equal(terminal.output.toString('latin1').replace(/(Killed\r\n)?\x01over\x01/, ''), undone);
  }
});

test('what the terminal still answers is nobody’s input', async () => {
  for (const [late, chunks] of [
    // The guest's own DA1 comes before ours, and a report of the cursor between the two.
    [true, ['\x1b[1;1R\x1b[?62;2', '2c\x1b[3;4R\x1b[', '?62;22', 'c\x1b[', '0n']],
    [true, ['\x1b[?62;22c\x1b]11;rgb:0000/00', '00/0000\x1b\\\x1b[\x1b[?6c\x1b[?6c\x1b[3', 'n']],
    // A terminal that does not know these questions.
    [false, ['\x1b[1;1R']],
  ] as const) {
    using scratch = new Scratch();
    const time = late ? 60_000 : 1;
    const program = String.raw`undo '${time}\nUNDONE\0'; stty raw -echo`;
    await using terminal = killed(scratch, program, 'read -r line; echo "line=$line"');
    await terminal.shows('UNDONE\x1b[c\x1b[5n');
    // Nobody has put the terminal back as long as answers are to come.
    for (const chunk of chunks) terminal.write(chunk);
    if (late) await until(() => scratch.text('after') !== '', 'the shell');
    terminal.write('typed\r');
    if (late) {
      await terminal.over();
      assert.match(terminal.output.toString('latin1'), /line=typed\r/);
    } else await until(() => scratch.text('after') !== '', 'the shell');
    assertRestored(scratch);
  }
});
