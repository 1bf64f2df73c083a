import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { ConsoleBusyError, ConsoleHub, type WindowSize } from '../../src/console/hub.ts';
import type { ConsoleView } from '../../src/console/view.ts';
import { enlargePipe, pipe } from '../../src/sys/descriptors.ts';
import { PipeStream } from '../../src/sys/pipe-stream.ts';

const everything = { write: 'no', from: 'begin' } as const;

function stage(limits = { history: 1000, backlog: 200_000 }, [console, guest] = duplexPair()) {
  const sizes: WindowSize[] = [];
  const hub = new ConsoleHub(console, { limits, onSize: (size) => sizes.push(size) });
  const arrived = async (bytes: number) => {
    while (hub.history.end < bytes) await new Promise(setImmediate);
  };
  return { hub, guest, sizes, arrived };
}

async function all(view: ConsoleView): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of view) parts.push(part);
  return Buffer.concat(parts).toString();
}

test('everybody sees everything, also who comes later and when the guest is gone', async () => {
  const { hub, guest, arrived } = stage();
  const first = hub.open(everything);
  guest.write('one\n');
  await arrived(4);
  const second = hub.open(everything);
  const now = hub.open({ write: 'no', from: 'now' });
  guest.end('two\n');
  const [a, b, c] = await Promise.all([all(first), all(second), all(now)]);
  assert.deepEqual([a, b, c], ['one\ntwo\n', 'one\ntwo\n', 'two\n']);
  assert.ok(hub.over);
  assert.equal(await all(hub.open(everything)), 'one\ntwo\n');
  assert.deepEqual(hub.readers, { count: 0, writer: false });
});

test('the last lines', async () => {
  const { hub, guest, arrived } = stage();
  guest.end('one\ntwo\nthree\n');
  await arrived(14);
  assert.equal(await all(hub.open({ write: 'no', from: { last: 8 } })), 'three\n');
  assert.equal(await all(hub.open({ write: 'no', from: { last: 100 } })), 'one\ntwo\nthree\n');
});

test('a blocked reader holds up neither the guest nor the others, and is told what it lost', async () => {
  const { hub, guest } = stage();
  let told = 0;
  const blocked = hub.open({ ...everything, lost: (bytes) => `[${bytes}]` });
  blocked.on('lost', (bytes: number) => {
    told += bytes;
  });
  blocked.read(0);
  const free = all(hub.open(everything));
  const lines = Array.from({ length: 20 }, (_, index) => `${index}${'x'.repeat(50_000)}\n`);
  for (const line of lines) {
    if (!guest.write(line)) await once(guest, 'drain');
  }
  guest.end();
  assert.equal(await free, lines.join(''));
  assert.ok(hub.history.end - hub.history.begin < 400_000);
  const seen = await all(blocked);
  assert.ok(told > 0);
  const [before, after] = seen.split(`[${told}]`);
  assert.ok(before !== undefined && after !== undefined);
  assert.ok(lines.join('').startsWith(before));
  assert.ok(lines.join('').endsWith(after));
  assert.equal(before.length + told + after.length, lines.join('').length);
  assert.match(after, /^\d+x/);
});

test('one writer; the right to write is asked for, stolen and given back', async () => {
  const { hub, guest } = stage();
  const reader = hub.open(everything);
  reader.write('not by me');
  const writer = hub.open({ write: 'ask', from: 'now' });
  writer.write('a');
  assert.throws(() => hub.open({ write: 'ask', from: 'now' }), ConsoleBusyError);
  const stolen = once(writer, 'stolen');
  const thief = hub.open({ write: 'steal', from: 'now' });
  await stolen;
  assert.ok(hub.isWriter(thief) && !hub.isWriter(writer));
  writer.write('b');
  thief.write('c');
  const returned = once(writer, 'returned');
  thief.destroy();
  await returned;
  writer.write('d');
  writer.destroy();
  await once(writer, 'close');
  hub.open({ write: 'ask', from: 'now' }).write('e');
  await new Promise(setImmediate);
  assert.equal(guest.read()?.toString(), 'acde');
});

test('the window of whoever writes', async () => {
  const { hub, sizes } = stage();
  const reader = hub.open(everything);
  reader.setSize({ rows: 3, columns: 4 });
  const writer = hub.open({ write: 'ask', from: 'now' });
  reader.setSize({ rows: 1, columns: 2 });
  writer.setSize({ rows: 24, columns: 80 });
  assert.deepEqual(sizes, [
    { rows: 3, columns: 4 },
    { rows: 24, columns: 80 },
  ]);
  assert.deepEqual(hub.size, { rows: 24, columns: 80 });
  // Back with the right to write comes the window that one has by then.
  const thief = hub.open({ write: 'steal', from: 'now' });
  thief.setSize({ rows: 5, columns: 6 });
  writer.setSize({ rows: 25, columns: 81 });
  thief.destroy();
  await once(thief, 'close');
  assert.deepEqual(hub.size, { rows: 25, columns: 81 });
});

test('what is typed for a guest that does not read is bounded', () => {
  let kept = 0;
  const console = new Duplex({
    read() {},
    write(chunk: Buffer) {
      kept += chunk.length;
    },
  });
  const hub = new ConsoleHub(console);
  const writer = hub.open({ write: 'ask', from: 'now' });
  for (let i = 0; i < 100; i += 1) writer.write(Buffer.alloc(64 * 1024));
  assert.ok(kept + console.writableLength <= 1024 * 1024 + 64 * 1024);
  hub.destroy();
});

test('who writes faster than the guest reads waits, and nothing is lost', async () => {
  const { hub, guest } = stage();
  const writer = hub.open({ write: 'ask', from: 'now' });
  const text = Array.from({ length: 300 }, (_, index) => String(index).repeat(4000)).join('');
  let had = '';
  let waited = 0;
  guest.on('data', (chunk: Buffer) => {
    had += chunk;
    guest.pause();
    setImmediate(() => guest.resume());
  });
  for (let at = 0; at < text.length; at += 10_000) {
    if (writer.write(text.slice(at, at + 10_000))) continue;
    waited += 1;
    await once(writer, 'drain');
  }
  while (had.length < text.length) await new Promise(setImmediate);
  assert.equal(had, text);
  assert.ok(waited > 0);
});

test('while a guest goes on and on its pieces are gathered, and what follows input is not', async () => {
  const [output, input] = [pipe(), pipe()];
  // As much as is gathered for so long.
  enlargePipe(output[1], 1024 * 1024);
  await using console = new PipeStream({ input: output[0], output: input[1], gather: 10 });
  await using other = new PipeStream({ input: input[0], output: output[1] });
  const { hub, guest, arrived } = stage(undefined, [console, other]);
  const seen: string[] = [];
  const view = hub.open({ write: 'ask', from: 'now' });
  view.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
  for (let piece = 1; piece <= 40; piece += 1) {
    guest.write('x');
    await new Promise(setImmediate);
  }
  while (seen.join('').length < 40) await new Promise(setImmediate);
  assert.ok(seen.length < 40, `${seen.length}`);
  seen.length = 0;
  view.write('k');
  guest.write('k');
  await arrived(41);
  await new Promise(setImmediate);
  assert.equal(seen.join(''), 'k');
});

test('a console that is reset ends the views', async () => {
  const { hub, guest, arrived } = stage();
  const view = all(hub.open(everything));
  guest.write('last words');
  await arrived(10);
  hub.destroy();
  assert.equal(await view, 'last words');
});

test('a patient console is held back for a slow reader, who loses nothing, and not for a blocked one', async () => {
  const [console, guest] = duplexPair();
  const hub = new ConsoleHub(console, { patient: true, limits: { history: 1000, backlog: 2 * 1024 * 1024 } });
  const size = 8 * 1024 * 1024;
  const write = async () => {
    for (let sent = 0; sent < size; sent += 64 * 1024) {
      if (!guest.write(Buffer.alloc(64 * 1024, 'x'))) await once(guest, 'drain');
    }
  };
  const slow = hub.open(everything);
  slow.on('lost', () => assert.fail('nothing may be lost'));
  const written = write();
  let seen = 0;
  while (seen < size) {
    const part: Buffer | null = slow.read();
    if (part !== null) seen += part.length;
    await new Promise(setImmediate);
  }
  await written;
  let lost = 0;
  slow.removeAllListeners('lost').on('lost', (bytes: number) => {
    lost += bytes;
  });
  // From here on it takes nothing.
  await write();
  slow.on('data', () => {});
  while (lost === 0) await new Promise(setImmediate);
  slow.destroy();
});

test('a patient console goes on when the reader who held it back has passed the blocked one', async ({
  mock,
}) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const [console, guest] = duplexPair();
  const limits = { history: 64 * 1024 * 1024, backlog: 64 * 1024 * 1024 };
  const hub = new ConsoleHub(console, { patient: true, limits });
  const size = 4 * 1024 * 1024;
  let sent = 0;
  const write = async () => {
    for (const end = sent + size; sent < end; sent += 64 * 1024) {
      if (!guest.write(Buffer.alloc(64 * 1024, 'x'))) await once(guest, 'drain');
    }
  };
  const held = async () => {
    while (!console.isPaused()) await new Promise(setImmediate);
  };
  const blocked = hub.open(everything);
  blocked.read(0);
  const first = write();
  await held();
  mock.timers.tick(1000);
  await first;
  const position = blocked.position;
  assert.ok(position > 0);
  // One who comes later begins before the blocked one, and is waited for.
  const later = hub.open(everything);
  const second = write();
  await held();
  later.on('data', () => {});
  while (later.position < hub.history.end) await new Promise(setImmediate);
  assert.ok(console.isPaused());
  mock.timers.tick(1000);
  await second;
  assert.equal(blocked.position, position);
});
