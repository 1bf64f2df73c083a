import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FramingError, LineFramer } from '../../src/qemu/framing.ts';

const line = fc
  .string({ unit: 'grapheme', minLength: 1 })
  .filter((text) => !/[\r\n\p{Surrogate}]/u.test(text));

describe('LineFramer', () => {
  test('gives the same lines at any chunk boundaries', () => {
    fc.assert(
      fc.property(
        fc.array(line),
        fc.constantFrom('\n', '\r\n', '\r\n\r\n\n'),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (lines, end, sizes) => {
          const bytes = Buffer.from(lines.map((text) => text + end).join(''));
          const framer = new LineFramer(1000);
          const read: string[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = sizes[turn % sizes.length] ?? 1;
            read.push(...framer.push(bytes.subarray(at, at + size)));
            at += size;
          }
          assert.deepEqual(read, lines);
          assert.equal(framer.pending, 0);
        },
      ),
    );
  });

  test('a line may fill the limit and not pass it, and no more than that is held', () => {
    const framer = new LineFramer(8);
    assert.deepEqual([...framer.push(Buffer.from('12345678\n1234'))], ['12345678']);
    assert.deepEqual([...framer.push(Buffer.from('5678'))], []);
    assert.throws(() => [...framer.push(Buffer.from('9'))], new FramingError('a line of more than 8 bytes'));
  });

  test('the limit may change between two lines of one chunk', () => {
    const framer = new LineFramer(2);
    const read: string[] = [];
    for (const text of framer.push(Buffer.from('ab\nabcd\n'))) {
      read.push(text);
      framer.limit = 4;
    }
    assert.deepEqual(read, ['ab', 'abcd']);
  });

  test('invalid UTF-8 is no text', () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xc3]]) {
      assert.throws(() => [...new LineFramer(9).push(Buffer.from([...bytes, 10]))], FramingError);
    }
  });
});
