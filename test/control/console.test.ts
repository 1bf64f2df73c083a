import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConsoleHub, type WindowSize } from '../../src/console/hub.ts';
import type { MachineEnd } from '../../src/control/console-frames.ts';
import { type ControlledMachine, startingMachine } from '../../src/control/machine.ts';
import { type ControlServer, serveControl } from '../../src/control/server.ts';
import { DisposalStack } from '../../src/disposal.ts';
import { MachineError } from '../../src/errors.ts';
import { type AttachOptions, attachConsole, consoleLog, controlMachine } from '../../src/session/console.ts';
import type { FoundMachine } from '../../src/session/machines.ts';
import { VarlinkClient, VarlinkError } from '../../src/varlink/index.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();
const method = (name: string) => `org.vmspawn.Console.${name}`;
let count = 0;

interface Stage extends AsyncDisposable {
  readonly machine: FoundMachine;
  readonly server: ControlServer;
  readonly hub: ConsoleHub;
  readonly guest: Duplex;
  readonly sizes: WindowSize[];
  readonly told: string[];
  /** The machine ends: the guest's side first, then what those who are attached are told, then the server. */
  end(end?: MachineEnd): Promise<void>;
  attach(options?: Partial<AttachOptions>): ReturnType<typeof attachConsole>;
  /** Waits until so many bytes of the guest have arrived. */
  arrived(bytes: number): Promise<void>;
}

/** A machine that runs, with a guest of the test's own, behind a real socket. */
async function stage(limits = { history: 100_000, backlog: 400_000 }): Promise<Stage> {
  count += 1;
  const control = join(directory, `control-${count}`);
  const [ours, guest] = duplexPair();
  const sizes: WindowSize[] = [];
  const told: string[] = [];
  const hub = new ConsoleHub(ours, { limits, onSize: (size) => sizes.push(size) });
  let decide: (end: MachineEnd) => void = () => {};
  const ended = new Promise<MachineEnd>((resolve) => {
    decide = resolve;
  });
  const controlled: ControlledMachine = {
    describe: async () => ({ running: true, status: 'running' }),
    powerOff: () => void told.push('powerOff'),
    reboot: async () => void told.push('reboot'),
    terminate: () => void told.push('terminate'),
    console: () => ({ hub, ended }),
  };
  await using stack = new DisposalStack();
  const server = stack.use(await serveControl({ path: control, version: '1', machine: controlled }));
  const owned = stack.move();
  const end: Stage['end'] = async (how = { status: 0, text: '' }) => {
    guest.end();
    decide(how);
    await owned[Symbol.asyncDispose]();
  };
  const machine: FoundMachine = { name: 'web', whose: 'system', control };
  return {
    ...{ machine, server, hub, guest, sizes, told, end },
    attach: (options = {}) =>
      attachConsole(machine, {
        ...{ write: 'ask', history: 1_000_000, size: null, waiting: () => assert.fail('it runs') },
        ...options,
      }),
    async arrived(bytes) {
      while (hub.history.end < bytes) await sleep(1);
    },
    [Symbol.asyncDispose]: () => end(),
  };
}

async function all(stream: Duplex): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream.iterator({ destroyOnReturn: false })) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** Reads until that was said. */
async function seen(stream: Duplex, text: string): Promise<string> {
  let said = '';
  while (!said.includes(text)) {
    const part: Buffer | null = stream.read();
    if (part === null) await once(stream, 'readable');
    else said += part.toString();
  }
  return said;
}

function isError(name: string) {
  return (error: unknown) => error instanceof VarlinkError && error.error === name;
}

test('everybody reads, one writes; all are told of the end behind the last word of the guest', async () => {
  await using it = await stage();
  it.guest.write('before\n');
  await it.arrived(7);
  await using writer = await it.attach({ size: { rows: 24, columns: 80 } });
  await using reader = await it.attach({ write: 'no', size: { rows: 1, columns: 1 } });
  await using late = await it.attach({ write: 'no', history: 0 });
  assert.deepEqual(it.hub.readers, { count: 3, writer: true });
  reader.write('not by me');
  writer.write('typed');
  assert.equal(await seen(it.guest, 'typed'), 'typed');
  writer.setSize({ rows: 50, columns: 132 });
  writer.write('!');
  await seen(it.guest, '!');
  assert.deepEqual(it.sizes.slice(0, 1).concat(it.sizes.slice(-1)), [
    { rows: 24, columns: 80 },
    { rows: 50, columns: 132 },
  ]);
  // More than the sockets hold.
  const flood = 'x'.repeat(3_000_000);
  const texts = Promise.all([all(writer), all(reader), all(late)]);
  for (let at = 0; at < flood.length; at += 50_000) {
    it.guest.write(flood.slice(at, at + 50_000));
    await it.arrived(7 + at + 50_000);
    await sleep(0);
  }
  it.guest.write('last');
  await it.end({ status: 3, text: 'It broke.' });
  const [a, b, c] = await texts;
  assert.ok(a === `before\n${flood}last` && b === a && c === `${flood}last`);
  for (const one of [writer, reader, late]) {
    assert.deepEqual(await one.ended, { status: 3, text: 'It broke.' });
  }
});

test('who asks for what somebody has is refused; who steals it gets it, and who had it is told and reads on', async () => {
  await using it = await stage();
  await using first = await it.attach();
  await assert.rejects(
    it.attach(),
    (error) => error instanceof MachineError && /Somebody else/.test(error.message),
  );
  const stolen = once(first, 'stolen');
  first.resume();
  await using second = await it.attach({ write: 'steal' });
  await stolen;
  first.write('a');
  second.write('b');
  assert.equal(await seen(it.guest, 'b'), 'b');
  // The connection is all that holds the right, which goes back to who had it and is still there.
  second.destroy();
  while (it.hub.readers.count > 1) await sleep(1);
  first.write('c');
  assert.equal(await seen(it.guest, 'c'), 'c');
  first.destroy();
  while (it.hub.readers.writer) await sleep(1);
  await using third = await it.attach();
  third.write('d');
  assert.equal(await seen(it.guest, 'd'), 'd');
});

test('a client that does not read holds nobody up, is told what it lost, and ends with the server', async () => {
  await using it = await stage();
  await using blocked = await it.attach({ write: 'no' });
  await using free = await it.attach({ write: 'no' });
  const text = all(free);
  const lines = Array.from({ length: 60 }, (_, index) => `${index}${'x'.repeat(50_000)}\n`);
  let written = 0;
  for (const line of lines) {
    it.guest.write(line);
    written += line.length;
    await it.arrived(written);
    await sleep(0);
  }
  assert.ok(it.hub.history.end - it.hub.history.begin <= 500_000);
  const blockedText = all(blocked);
  await it.end();
  assert.equal(await text, lines.join(''));
  const [before, lost, after] = (await blockedText).split(
    /\r\n\[(\d+) bytes of the console were lost here\]\r\n/,
  );
  assert.ok(before !== undefined && lost !== undefined && after !== undefined);
  assert.ok(lines.join('').startsWith(before) && lines.join('').endsWith(after));
  assert.equal(before.length + Number(lost) + after.length, written);
});

test('a client that never reads does not keep the machine', async () => {
  await using it = await stage();
  await using blocked = await it.attach({ write: 'no' });
  it.guest.write('x'.repeat(2_000_000));
  await it.arrived(2_000_000);
  await it.end();
  assert.equal(blocked.readableFlowing, null);
  assert.equal(it.hub.readers.count, 0);
});

test('the log is what is kept, and follows', async () => {
  await using it = await stage();
  it.guest.write('one\r\n\x1b[1mtwo');
  await it.arrived(12);
  const options = { waiting: () => assert.fail('it runs') };
  assert.equal(await all(await consoleLog(it.machine, { ...options, follow: false })), 'one\r\n\x1b[1mtwo');
  const follow = await consoleLog(it.machine, { ...options, follow: true });
  const text = all(follow);
  it.guest.write('three');
  await it.end();
  assert.equal(await text, 'one\r\n\x1b[1mtwothree');
});

test('what there is to tell of a console', async () => {
  await using it = await stage();
  it.guest.write('12345');
  await it.arrived(5);
  await using writer = await it.attach({ size: { rows: 3, columns: 4 } });
  await using client = await VarlinkClient.connect(it.machine.control);
  const { parameters } = await client.call(method('Describe'));
  assert.deepEqual(parameters, { readers: 1, writer: true, historyBytes: 5, rows: 3, columns: 4 });
  assert.ok(writer.writable);
});

test('calls that cannot be carried out change nothing', async () => {
  await using it = await stage();
  await using writer = await it.attach();
  await using client = await VarlinkClient.connect(it.machine.control);
  const steal = { write: true, steal: true };
  await assert.rejects(client.call(method('Attach'), steal), isError('org.varlink.service.ExpectedUpgrade'));
  await assert.rejects(
    client.call(method('Log'), { follow: true }),
    isError('org.varlink.service.ExpectedUpgrade'),
  );
  for (const wrong of [
    { history: -1 },
    { rows: 24 },
    { columns: 80 },
    { rows: 0, columns: 1 },
    { rows: 1, columns: 65536 },
  ]) {
    await assert.rejects(
      client.upgrade(method('Attach'), { ...steal, ...wrong }),
      isError('org.varlink.service.InvalidParameter'),
    );
  }
  assert.deepEqual(it.hub.readers, { count: 1, writer: true });
  writer.write('mine');
  assert.equal(await seen(it.guest, 'mine'), 'mine');
});

test('a machine without such a console says so, and one that is still being started is waited for', async () => {
  await using it = await stage();
  const running = it.server;
  running.attach(startingMachine(() => {}));
  let waited = 0;
  const attached = it.attach({
    waiting: () => {
      waited += 1;
      const [console] = duplexPair();
      const hub = new ConsoleHub(console);
      running.attach({
        ...startingMachine(() => {}),
        console: () => ({ hub, ended: Promise.resolve({ status: 0, text: '' }) }),
      });
    },
  });
  await using console = await attached;
  assert.equal(waited, 1);
  running.attach({ ...startingMachine(() => {}), console: () => null });
  await assert.rejects(
    it.attach(),
    (error) => error instanceof MachineError && /no console/.test(error.message),
  );
  assert.ok(console.writable);
  await assert.rejects(controlMachine(it.machine, 'Reboot'), MachineError);
});

test('garbage, half a frame and a client that vanishes end a connection and nothing else', async () => {
  await using it = await stage();
  const call = `${JSON.stringify({ method: method('Attach'), parameters: { write: true, steal: true }, upgrade: true })}\0`;
  const oversized = Buffer.from([0x69, 0xff, 0xff, 0xff, 0xff]);
  for (const sent of [Buffer.from('hello'), oversized, Buffer.alloc(100_000, 0xff)]) {
    const socket = connect(it.machine.control);
    socket.on('error', () => {}).resume();
    socket.write(Buffer.concat([Buffer.from(call), sent]));
    await once(socket, 'close');
  }
  const half = connect(it.machine.control);
  half.write(Buffer.concat([Buffer.from(call), Buffer.from([0x69, 0, 0, 0])]));
  await once(half, 'data');
  half.destroy();
  while (it.hub.readers.count > 0) await sleep(1);
  await using writer = await it.attach();
  writer.write('still here');
  assert.equal(await seen(it.guest, 'still here'), 'still here');
});

test('who has ended their input still reads', async () => {
  await using it = await stage();
  const socket = connect(it.machine.control);
  const call = { method: method('Log'), parameters: { follow: true }, upgrade: true };
  socket.end(`${JSON.stringify(call)}\0`);
  const text = all(socket);
  while (it.hub.readers.count === 0) await sleep(1);
  it.guest.write('to the end');
  await it.arrived(10);
  await it.end();
  assert.match(await text, /\0to the end$/);
});

test('a thousand connections are too many, and the machine can be attached to when they are gone', async () => {
  await using it = await stage();
  const call = `${JSON.stringify({ method: method('Attach'), parameters: { write: false, steal: false }, upgrade: true })}\0`;
  const sockets = Array.from({ length: 1000 }, () => {
    const socket = connect(it.machine.control);
    socket.on('error', () => {});
    socket.write(call);
    return socket;
  });
  while (it.hub.readers.count < 100) await sleep(1);
  it.guest.write('x'.repeat(1_000_000));
  await it.arrived(1_000_000);
  assert.ok(it.hub.readers.count <= 128);
  for (const socket of sockets) socket.destroy();
  while (it.hub.readers.count > 0) await sleep(1);
  await using writer = await it.attach();
  writer.write('free');
  assert.equal(await seen(it.guest, 'free'), 'free');
});

test('the machine is told by its other interface what to do', async () => {
  await using it = await stage();
  for (const name of ['PowerOff', 'Reboot', 'Terminate'] as const) await controlMachine(it.machine, name);
  assert.deepEqual(it.told, ['powerOff', 'reboot', 'terminate']);
});
