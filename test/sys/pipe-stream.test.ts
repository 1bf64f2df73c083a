import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { enlargePipe, pipe } from '../../src/sys/descriptors.ts';
import { PipeStream, type PipeStreamOptions } from '../../src/sys/pipe-stream.ts';

function pair(options: Pick<PipeStreamOptions, 'gather'> = {}, room = 1024 * 1024): [PipeStream, PipeStream] {
  const [there, back] = [pipe(), pipe()];
  enlargePipe(back[1], room);
  return [
    new PipeStream({ input: back[0], output: there[1], ...options }),
    new PipeStream({ input: there[0], output: back[1] }),
  ];
}

/** What was read so far, and a wait until it is at least so long. */
function record(stream: PipeStream) {
  const pieces: string[] = [];
  stream.setEncoding('latin1').on('data', (text: string) => pieces.push(text));
  const until = async (length: number) => {
    while (pieces.join('').length < length) await new Promise(setImmediate);
  };
  return { pieces, until };
}

test('bytes go both ways, more than a pipe holds, and the end of the writers is the end', async () => {
  const [ours, theirs] = pair();
  await using reader = ours;
  await using writer = theirs;
  const [there, back] = [record(writer), record(reader)];
  const block = 'abcdefg'.repeat(400_000);
  reader.write('there');
  writer.write(block);
  await there.until(5);
  await back.until(block.length);
  assert.equal(there.pieces.join(''), 'there');
  assert.equal(back.pieces.join(''), block);
  const ended = new Promise((resolve) => reader.once('end', resolve));
  writer.destroy();
  await ended;
});

test('nothing is read while nobody wants it', async () => {
  const [ours, theirs] = pair();
  await using reader = ours;
  await using writer = theirs;
  let written = false;
  writer.write(Buffer.alloc(3 * 1024 * 1024), () => {
    written = true;
  });
  // Some is read ahead, as streams do, and the pipe holds a megabyte.
  reader.read(0);
  for (let turn = 0; turn < 1000; turn += 1) await new Promise(setImmediate);
  assert.equal(written, false);
  reader.resume();
  while (!written) await new Promise(setImmediate);
});

test('what is written to nobody is thrown away, and what came before can still be read', async () => {
  const [ours, theirs] = pair();
  await using reader = ours;
  const { pieces, until } = record(reader);
  reader.pause();
  theirs.write('last words');
  await theirs[Symbol.asyncDispose]();
  await new Promise<void>((resolve, reject) => {
    reader.write('anybody?', (error) => (error ? reject(error) : resolve()));
  });
  reader.resume();
  await until(10);
  assert.deepEqual(pieces, ['last words']);
});

test('disposal closes both descriptors, and whoever still waits to write is told', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const [ours, theirs] = pair();
  const waiting = new Promise<unknown>((resolve) => ours.write(Buffer.alloc(1024 * 1024), resolve));
  ours.on('error', () => {});
  await ours[Symbol.asyncDispose]();
  await theirs[Symbol.asyncDispose]();
  assert.match(String(await waiting), /closed before everything was written/);
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('a pipe is enlarged', async () => {
  const [ours, theirs] = pipe();
  enlargePipe(theirs, 256 * 1024);
  await using reader = new PipeStream({ input: ours, output: theirs });
  let written = false;
  reader.write(Buffer.alloc(256 * 1024), () => {
    written = true;
  });
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  assert.equal(written, true);
});

test('a pipe that holds little is not left alone', async () => {
  const [ours, theirs] = pair({ gather: 50 }, 4096);
  await using reader = ours;
  await using writer = theirs;
  const { pieces, until } = record(reader);
  for (let piece = 1; piece <= 100; piece += 1) {
    writer.write('b');
    await until(piece);
  }
  assert.equal(pieces.length, 100);
});

test('a stream that is destroyed by what it has brought stays so', async () => {
  const [ours, theirs] = pair({ gather: 50 });
  await using writer = theirs;
  const closed = new Promise((resolve) => ours.once('close', resolve));
  ours.on('data', () => ours.destroy());
  writer.write('the end');
  await closed;
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
});

test('small pieces in a row gather in the pipe, the first one after a silence is read at once', async () => {
  const [ours, theirs] = pair({ gather: 200 });
  await using reader = ours;
  await using writer = theirs;
  const { pieces, until } = record(reader);
  writer.write('a');
  await until(1);
  for (let piece = 0; piece < 100; piece += 1) {
    writer.write('b');
    await new Promise(setImmediate);
  }
  await until(101);
  assert.equal(pieces.join(''), `a${'b'.repeat(100)}`);
  assert.ok(pieces.length < 50, `${pieces.length} reads`);
  // An answer does not wait for its neighbours.
  const before = pieces.length;
  for (let key = 1; key <= 20; key += 1) {
    reader.write('k');
    await new Promise(setImmediate);
    writer.write('e');
    await until(101 + key);
  }
  assert.equal(pieces.length, before + 20);
});
