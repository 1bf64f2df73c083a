import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ClientFrames,
  dataFrames,
  endFrame,
  frameLimit,
  ServerFrames,
  sizeFrame,
  stolenFrame,
} from '../../src/control/console-frames.ts';
import { FramingError } from '../../src/sys/framing.ts';

/** Cuts bytes at places that the property chooses. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...sorted, bytes.length].map((end, index) =>
    bytes.subarray(index === 0 ? 0 : sorted[index - 1], end),
  );
}

const text = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const places = fc.array(fc.nat(), { maxLength: 40 });
/** Objects as others are. */
const plain = { noNullPrototype: true } as const;
const side = fc.integer({ min: 1, max: 65535 });

test('what a client sends arrives, wherever it is cut', () => {
  const frame = fc.oneof(
    text.map((bytes) => ({ type: 'input' as const, bytes })),
    fc.record(
      { type: fc.constant('size' as const), size: fc.record({ rows: side, columns: side }, plain) },
      plain,
    ),
  );
  fc.assert(
    fc.property(fc.array(frame), places, (frames, at) => {
      const bytes = Buffer.concat(
        frames.flatMap((one) =>
          one.type === 'input' ? [...dataFrames('input', one.bytes)] : [sizeFrame(one.size)],
        ),
      );
      const reader = new ClientFrames();
      assert.deepEqual(
        cut(bytes, at).flatMap((chunk) => reader.push(chunk)),
        frames,
      );
    }),
  );
});

test('what a server sends arrives, wherever it is cut', () => {
  const frame = fc.oneof(
    text.map((bytes) => ({ type: 'output' as const, bytes })),
    fc.constant({ type: 'stolen' as const }),
    fc.record(
      {
        type: fc.constant('end' as const),
        end: fc.record({ status: fc.nat(255), text: fc.string({ unit: 'grapheme' }) }, plain),
      },
      plain,
    ),
  );
  fc.assert(
    fc.property(fc.array(frame), places, (frames, at) => {
      const bytes = Buffer.concat(
        frames.flatMap((one) => {
          if (one.type === 'output') return [...dataFrames('output', one.bytes)];
          return [one.type === 'stolen' ? stolenFrame() : endFrame(one.end)];
        }),
      );
      const reader = new ServerFrames();
      assert.deepEqual(
        cut(bytes, at).flatMap((chunk) => reader.push(chunk)),
        frames,
      );
    }),
  );
});

test('what is too long for a frame is several, and nothing is none', () => {
  const bytes = Buffer.alloc(frameLimit * 2 + 1, 'x');
  const frames = [...dataFrames('output', bytes)];
  assert.deepEqual(
    frames.map((frame) => frame.length - 5),
    [frameLimit, frameLimit, 1],
  );
  assert.deepEqual([...dataFrames('input', Buffer.alloc(0))], []);
  const end = new ServerFrames().push(endFrame({ status: 1, text: 'x'.repeat(frameLimit) }));
  assert.deepEqual(end, [{ type: 'end', end: { status: 1, text: 'x'.repeat(frameLimit - 1) } }]);
});

test('garbage is refused, an oversized frame before it is there', () => {
  const header = (type: string, length: number) => {
    const bytes = Buffer.alloc(5);
    bytes.write(type);
    bytes.writeUInt32BE(length, 1);
    return bytes;
  };
  const bad = [
    header('i', frameLimit + 1),
    header('i', 0xffffffff),
    Buffer.concat([header('s', 3), Buffer.alloc(3)]),
    sizeFrame({ rows: 0, columns: 80 }),
    header('o', 0),
    header('?', 0),
  ];
  for (const bytes of bad) assert.throws(() => new ClientFrames().push(bytes), FramingError);
  for (const bytes of [header('e', 0), header('o', frameLimit + 1), header('i', 0)]) {
    assert.throws(() => new ServerFrames().push(bytes), FramingError);
  }
});
