import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { sendDescriptors } from '../../src/sys/ancillary.ts';
import { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { SystemCallError } from '../../src/sys/koffi.ts';
import { socketpair } from '../../src/sys/socketpair.ts';

function pair(options?: { maximumPending?: number }): [DescriptorStream, DescriptorStream] {
  const [a, b] = socketpair();
  return [new DescriptorStream(a), new DescriptorStream(b, options)];
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('bytes arrive whole and in order through back-pressure, then the end', async () => {
  const [a, b] = pair();
  const sent = Buffer.alloc(3_000_000, 'abcdefghijklmnopqrstuvw');
  assert.equal(a.write(sent.subarray(0, 2_000_000)), false, 'the queue is over its high-water mark');
  a.end(sent.subarray(2_000_000));
  const received: Buffer[] = [];
  for await (const chunk of b) received.push(chunk);
  assert.ok(Buffer.concat(received).equals(sent));
  b.end();
  await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
});

test('random writes and chunk sizes give the same bytes on the other side', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 5000 }), { maxLength: 30 }),
      async (chunks) => {
        const [a, b] = pair();
        for (const chunk of chunks) a.write(chunk);
        a.end();
        const received: Buffer[] = [];
        for await (const chunk of b) received.push(chunk);
        assert.ok(Buffer.concat(received).equals(Buffer.concat(chunks)));
        b.destroy();
        a.destroy();
      },
    ),
    { numRuns: 50 },
  );
});

test('descriptors arrive as the same files, belong to their message, and are closed when nobody takes them', async () => {
  const before = openDescriptors();
  const [a, b] = pair();
  const file = openSync('/proc/self/status', 'r');
  const zero = openSync('/dev/zero', 'r');
  a.write('plain');
  await a.sendWithDescriptors('first', [file, zero]);
  await a.sendWithDescriptors('second', [zero]);
  await a.sendWithDescriptors('third', [file]);
  let text = '';
  for await (const chunk of b.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.endsWith('third')) break;
  }
  assert.equal(text, 'plainfirstsecondthird');
  assert.deepEqual(b.takeDescriptors(5), [], 'the first message carried none');
  const first = b.takeDescriptors(10);
  assert.deepEqual(
    first.map((fd) => fstatSync(fd).ino),
    [fstatSync(file).ino, fstatSync(zero).ino],
  );
  const [second, ...more] = b.takeDescriptors(16);
  assert.equal(more.length, 0);
  for (const fd of [...first, second ?? -1, file, zero]) closeSync(fd);
  await a[Symbol.asyncDispose]();
  await b[Symbol.asyncDispose]();
  assert.equal(openDescriptors(), before, 'the untaken one of the third message is closed too');
});

test('nothing is lost while the reader is paused, and writing goes on meanwhile', async () => {
  const [a, b] = pair();
  const lines: string[] = [];
  b.on('data', (chunk) => lines.push(String(chunk)));
  b.pause();
  await a.sendWithDescriptors('event', [0]);
  b.write('command');
  const [command] = await once(a, 'data');
  assert.equal(String(command), 'command');
  assert.deepEqual(lines, []);
  b.resume();
  await once(b, 'data');
  assert.deepEqual(lines, ['event']);
  assert.equal(b.takeDescriptors().map((fd) => closeSync(fd)).length, 1);
  a.destroy();
  b.destroy();
});

test('250 descriptors go in one message, 254 are refused', async () => {
  const [a, b] = pair();
  await a.sendWithDescriptors('x', Array<number>(250).fill(0));
  await once(b, 'data');
  const taken = b.takeDescriptors();
  assert.equal(new Set(taken).size, 250);
  for (const fd of taken) closeSync(fd);
  a.on('error', () => {});
  await assert.rejects(a.sendWithDescriptors('x', Array<number>(254).fill(0)), RangeError);
  await assert.rejects(async () => a.sendWithDescriptors('', [0]), RangeError);
  b.destroy();
});

test('a peer that sends more descriptors than allowed ends the stream, with all of them closed', async () => {
  const before = openDescriptors();
  const [a, b] = pair({ maximumPending: 3 });
  b.resume();
  const failed = once(b, 'error');
  await a.sendWithDescriptors('x', [0, 0, 0, 0]);
  const [error] = await failed;
  assert.match(String(error), /4 descriptors that nobody takes/);
  a.destroy();
  await sleep(0);
  assert.equal(openDescriptors(), before);
});

test('a peer that is gone is an EPIPE error for writers and an end for readers; a bad descriptor fails the send', async () => {
  const [a, b] = pair();
  await b[Symbol.asyncDispose]();
  a.resume();
  await once(a, 'end');
  const failed = once(a, 'error');
  a.write('x');
  const [error] = await failed;
  assert.ok(error instanceof SystemCallError && error.code === 'EPIPE');

  const [c, d] = pair();
  c.on('error', () => {});
  await assert.rejects(c.sendWithDescriptors('x', [999_999]), { code: 'EBADF' });
  d.destroy();
});

test('what a peer sent before it left is read to the end, although it had not read everything itself', async () => {
  const [a, b] = pair();
  a.write('unread');
  b.write('x'.repeat(200_000));
  b.destroy();
  let length = 0;
  a.on('data', (chunk: Buffer) => {
    length += chunk.length;
  });
  a.on('error', () => {});
  await once(a, 'close');
  assert.equal(length, 200_000);
});

test('disposal in the middle of a write rejects it and closes the descriptor', async () => {
  const before = openDescriptors();
  const [a, b] = pair();
  const pending = a.sendWithDescriptors(Buffer.alloc(10_000_000), [0]);
  const refused = assert.rejects(pending, /closed before/);
  await a[Symbol.asyncDispose]();
  await refused;
  await b[Symbol.asyncDispose]();
  assert.equal(openDescriptors(), before);
});

test('sendDescriptors says null when the socket is full', () => {
  const [a, b] = socketpair();
  const block = Buffer.alloc(65536);
  let result: number | null = 0;
  while (result !== null) result = sendDescriptors(a, block, []);
  closeSync(a);
  closeSync(b);
});

function once(stream: DescriptorStream, event: string): Promise<unknown[]> {
  return new Promise((resolve) => stream.once(event, (...values) => resolve(values)));
}
