import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, Framer, FramingError } from '../../src/sys/framing.ts';

function framer(limit: number): Framer {
  return new Framer({ delimiter: 0, limit, noun: 'message' });
}

function all(from: Framer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let piece = from.next(); piece !== null; piece = from.next()) pieces.push(piece);
  return pieces;
}

const piece = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)));

describe('Framer', () => {
  test('gives the same pieces and counts at any chunk boundaries, empty ones too', () => {
    fc.assert(
      fc.property(
        fc.array(piece),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (pieces, sizes) => {
          const bytes = Buffer.concat(pieces.flatMap((one) => [one, Buffer.alloc(1)]));
          const ends = pieces.map((_, index) =>
            pieces.slice(0, index + 1).reduce((sum, one) => sum + one.length + 1, 0),
          );
          const cut = framer(40);
          const read: Buffer[] = [];
          const consumed: number[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = sizes[turn % sizes.length] ?? 1;
            // Its own memory, which is written over afterwards.
            const chunk = Buffer.from(bytes.subarray(at, at + size));
            cut.feed(chunk);
            for (let one = cut.next(); one !== null; one = cut.next()) {
              read.push(Buffer.from(one));
              consumed.push(cut.consumed);
            }
            chunk.fill(0xff);
            at += size;
          }
          assert.deepEqual(read, pieces);
          assert.deepEqual(consumed, ends);
          assert.equal(cut.pending, 0);
        },
      ),
    );
  });

  test('whoever takes the connection over gets every byte that was not given out', () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1 }), piece, fc.nat(), (pieces, tail, taken) => {
        const bytes = Buffer.concat([...pieces.flatMap((one) => [one, Buffer.alloc(1)]), tail]);
        const cut = framer(40);
        cut.feed(bytes.subarray(0, 3));
        cut.feed(bytes.subarray(3));
        for (let turn = 0; turn < taken % pieces.length; turn += 1) cut.next();
        assert.deepEqual(cut.takeRest(), bytes.subarray(cut.consumed));
        assert.equal(cut.next(), null);
      }),
    );
  });

  test('holds one buffer of at most the limit for a million crumbs', () => {
    const cut = framer(1_000_000);
    const before = process.memoryUsage().arrayBuffers;
    const crumb = Buffer.from('x');
    for (let count = 0; count < 1_000_000; count += 1) {
      cut.feed(crumb);
      assert.equal(cut.next(), null);
    }
    assert.equal(cut.pending, 1_000_000);
    assert.ok(process.memoryUsage().arrayBuffers - before < 4_000_000);
    cut.feed(crumb);
    assert.throws(() => cut.next(), new FramingError('a message of more than 1000000 bytes'));
    assert.equal(cut.pending, 0);
  });

  test('a piece may fill the limit', () => {
    const cut = framer(3);
    cut.feed(Buffer.from('abc\0ab'));
    cut.feed(Buffer.from('c\0'));
    assert.deepEqual(all(cut).map(String), ['abc', 'abc']);
  });
});

test('text is UTF-8 or nothing', () => {
  assert.equal(decodeUtf8(Buffer.from('\ufeffü'), 'message'), '\ufeffü');
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xc3]]) {
    assert.throws(() => decodeUtf8(Buffer.from(bytes), 'message'), /a message that is not UTF-8/);
  }
});
