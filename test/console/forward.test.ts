import assert from 'node:assert/strict';
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { forwardConsole } from '../../src/console/forward.ts';
import { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { pipe } from '../../src/sys/descriptors.ts';
import { socketpair } from '../../src/sys/socketpair.ts';
import { pattern } from './pattern.ts';
import { fixture, Scratch, Terminal, until } from './session.ts';

const FLOOD = 5 * 1024 * 1024;

class Run implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;

  constructor(
    scratch: Scratch,
    words: readonly string[],
    stdio: StdioOptions,
    extra: NodeJS.ProcessEnv = {},
  ) {
    const env = { ...scratch.environment, ...extra };
    this.child = spawn(process.execPath, [fixture, ...words], { stdio, env });
    this.exited = new Promise((resolve) => this.child.once('exit', resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** All that comes out of a stream. */
async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function assertFlood(data: Buffer): void {
  assert.equal(data.length, FLOOD);
  assert.ok(data.equals(pattern(0, FLOOD)));
}

test('5 MB arrive complete and in order: terminal', async () => {
  using scratch = new Scratch();
  const command = `'${process.execPath}' '${fixture}' read-only flood:${FLOOD} 2>errors`;
  await using terminal = new Terminal(command, scratch);
  await terminal.shows(pattern(0, 16).toString('latin1'));
  // A user who is slow at times: the kernel's buffers are full then.
  for (let count = 0; count < 5; count += 1) {
    terminal.pause();
    await new Promise((resolve) => setTimeout(resolve, 30));
    terminal.resume();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await scratch.line('disposed');
  await terminal.over();
  assertFlood(terminal.output.subarray(0, FLOOD));
});

test('5 MB arrive complete and in order: pipe, socket, file', async () => {
  using scratch = new Scratch();
  const [readEnd, writeEnd] = pipe();
  const file = openSync(scratch.path('out'), 'w');
  for (const output of [writeEnd, 'pipe', file] as const) {
    await using run = new Run(scratch, ['interactive', `flood:${FLOOD}`], ['ignore', output, 'inherit']);
    if (output === writeEnd) {
      closeSync(writeEnd);
      assertFlood(await collect(new Socket({ fd: readEnd })));
    } else if (run.child.stdout !== null) {
      assertFlood(await collect(run.child.stdout));
    }
    assert.equal(await run.exited, 0);
    if (output === file) {
      closeSync(file);
      assertFlood(readFileSync(scratch.path('out')));
    }
  }
  assert.deepEqual(
    scratch.lines().filter((line) => 'end' in line),
    [{ end: 'console-closed' }, { end: 'console-closed' }, { end: 'console-closed' }],
  );
});

test('piped input reaches the guest, the hotkey is data there, its end ends the input only', async () => {
  using scratch = new Scratch();
  const text = Buffer.concat([pattern(0, 300_000), Buffer.from('\x1d\x1d\x1d')]);
  writeFileSync(scratch.path('in'), text);
  const [readEnd, writeEnd] = pipe();
  const file = openSync(scratch.path('in'), 'r');
  for (const input of [readEnd, 'pipe', file] as const) {
    using own = new Scratch();
    await using run = new Run(own, ['interactive', 'echo'], [input, 'pipe', 'inherit']);
    let stdin = run.child.stdin;
    if (input === readEnd) {
      closeSync(readEnd);
      stdin = new Socket({ fd: writeEnd, readable: false });
    }
    stdin?.end(text);
    assert.ok(run.child.stdout !== null);
    const chunks: Buffer[] = [];
    run.child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const all = Buffer.concat([Buffer.from('READY\r\n'), text]);
    await until(() => Buffer.concat(chunks).length >= all.length, 'the echo');
    assert.ok(Buffer.concat(chunks).equals(all));
    assert.equal(run.child.exitCode, null);
    assert.deepEqual(
      own.lines().filter((line) => 'end' in line),
      [],
    );
  }
  closeSync(file);
});

test('pipes that cannot be opened anew: all arrives, and their flags stay untouched', async () => {
  using scratch = new Scratch();
  const [readEnd, writeEnd] = pipe();
  const [inputEnd, feedEnd] = pipe();
  const flags = () => readFileSync(`/proc/self/fdinfo/${writeEnd}`, 'latin1').split('\n')[1];
  const before = flags();
  await using run = new Run(scratch, ['interactive', `flood:${FLOOD}`], [inputEnd, writeEnd, 'inherit'], {
    FOREIGN: '1',
  });
  await scratch.line('started');
  assert.equal(flags(), before);
  closeSync(writeEnd);
  closeSync(inputEnd);
  assertFlood(await collect(new Socket({ fd: readEnd })));
  assert.equal(await run.exited, 0);
  closeSync(feedEnd);
});

test('disposal writes out what the guest said last, although the reader is slow and the user types', async () => {
  const [ours, theirs] = socketpair();
  const [readEnd, writeEnd] = pipe();
  const [inputEnd, feedEnd] = pipe();
  await using console = new DescriptorStream(ours, { ignoreClosedPeer: true });
  const guest = new DescriptorStream(theirs);
  const forwarder = forwardConsole({
    console,
    input: inputEnd,
    output: writeEnd,
    mode: 'interactive',
    onEnd: () => assert.fail('nothing is reported once disposal has begun'),
    drainTimeout: 60_000,
  });
  await new Promise((resolve) => guest.write(pattern(0, 300_000), resolve));
  guest.destroy();
  writeSync(feedEnd, 'typed after the guest has gone');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const disposed = forwarder[Symbol.asyncDispose]();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const received = collect(new Socket({ fd: readEnd }));
  await disposed;
  closeSync(writeEnd);
  assert.ok((await received).equals(pattern(0, 300_000)));
  closeSync(inputEnd);
  closeSync(feedEnd);
});

test('disposal does not wait for a guest that is silent, nor for ever for a reader', async () => {
  for (const size of [100, 300_000]) {
    const [ours, theirs] = socketpair();
    const [readEnd, writeEnd] = pipe();
    await using console = new DescriptorStream(ours);
    await using guest = new DescriptorStream(theirs);
    const forwarder = forwardConsole({
      console,
      input: null,
      output: writeEnd,
      mode: 'read-only',
      onEnd: () => assert.fail('no end'),
      drainTimeout: size === 100 ? 2 ** 31 - 1 : 50,
    });
    guest.write(pattern(0, size));
    await forwarder[Symbol.asyncDispose]();
    await forwarder[Symbol.asyncDispose]();
    const data = Buffer.alloc(size);
    const length = readSync(readEnd, data);
    assert.ok(data.subarray(0, length).equals(pattern(0, length)));
    assert.equal(length === size, size === 100);
    closeSync(readEnd);
    closeSync(writeEnd);
  }
});

test('the signal, a console that fails, one that is over already, and a closed output are reported once', async () => {
  const [readEnd, writeEnd] = pipe();
  const ends: string[] = [];
  const over = new PassThrough();
  over.destroy();
  const cases = [
    {
      stream: new PassThrough(),
      output: writeEnd,
      act: (_: PassThrough, abort: AbortController) => abort.abort(),
      reason: 'aborted',
    },
    { stream: over, output: writeEnd, act: () => {}, reason: 'console-closed' },
    { stream: new PassThrough(), output: 9999, act: () => {}, reason: 'output-closed' },
    {
      stream: new PassThrough(),
      output: writeEnd,
      act: (stream: PassThrough) => stream.destroy(new Error('reset')),
      reason: 'console-closed',
    },
  ];
  for (const { stream, output, act, reason } of cases) {
    const abort = new AbortController();
    const ended = new Promise<void>((resolve) => {
      const forwarder = forwardConsole({
        console: stream,
        input: null,
        output,
        mode: 'interactive',
        signal: abort.signal,
        onEnd: (end) => {
          ends.push(end.reason);
          resolve(forwarder[Symbol.asyncDispose]());
        },
      });
    });
    act(stream, abort);
    await ended;
    assert.deepEqual(ends.splice(0), [reason]);
    stream.destroy();
  }
  closeSync(readEnd);
  closeSync(writeEnd);
});

test('a closed output ends forwarding', async () => {
  for (const kind of ['pipe', 'socket'] as const) {
    using scratch = new Scratch();
    const [readEnd, writeEnd] = pipe();
    await using run = new Run(
      scratch,
      ['interactive', 'endless'],
      ['ignore', kind === 'pipe' ? writeEnd : 'pipe', 'inherit'],
    );
    closeSync(writeEnd);
    closeSync(readEnd);
    run.child.stdout?.destroy();
    assert.equal((await scratch.line('end'))['end'], 'output-closed');
    assert.equal(await run.exited, 0);
  }
});

test('a full disk ends forwarding with the reason', async () => {
  using scratch = new Scratch();
  const full = openSync('/dev/full', 'w');
  await using run = new Run(scratch, ['interactive', 'flood:100'], ['ignore', full, 'inherit']);
  closeSync(full);
  const end = await scratch.line('end');
  assert.equal(end['end'], 'failed');
  assert.match(String(end['error']), /ENOSPC/);
  assert.equal(await run.exited, 0);
});

test('nobody reads: memory stays bounded, nothing spins, the flags of the shared pipe stay', async () => {
  using scratch = new Scratch();
  const [readEnd, writeEnd] = pipe();
  const flags = readFileSync(`/proc/self/fdinfo/${writeEnd}`, 'latin1').split('\n')[1];
  await using run = new Run(scratch, ['interactive', 'endless'], ['ignore', writeEnd, 'inherit']);
  const samples = await until(() => {
    const lines = scratch.lines().filter((line) => 'sent' in line);
    return lines.length >= 8 && lines;
  }, 'eight samples');
  assert.equal(run.child.exitCode, null);
  assert.equal(readFileSync(`/proc/self/fdinfo/${writeEnd}`, 'latin1').split('\n')[1], flags);
  const [first, last] = [samples[3], samples.at(-1)];
  assert.ok(first !== undefined && last !== undefined);
  assert.equal(last['sent'], first['sent'], 'the guest has to wait');
  assert.ok(Number(last['sent']) < 4 * 1024 * 1024, `${last['sent']} bytes are held`);
  assert.ok(Number(last['rss']) - Number(first['rss']) < 8 * 1024 * 1024);
  assert.ok(cpu(last['cpu']) - cpu(first['cpu']) < 400_000, 'CPU time in a second of rest');
  closeSync(readEnd);
  closeSync(writeEnd);
});

/** Microseconds of process.cpuUsage. */
function cpu(usage: unknown): number {
  assert.ok(typeof usage === 'object' && usage !== null && 'user' in usage && 'system' in usage);
  return Number(usage.user) + Number(usage.system);
}
