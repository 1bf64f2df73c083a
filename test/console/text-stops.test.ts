import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TextStops } from '../../src/console/text-stops.ts';

test('every stop is found, and nothing else, however far apart they are', () => {
  const part = fc.oneof(
    fc.constantFrom('\x05', '\x1b', '\xc2', '\x1b\x1b', '\xc2\x05'),
    fc.nat(60).map((length) => 'x'.repeat(length)),
  );
  const stops = new TextStops();
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const chunk = Buffer.from(parts.join(''), 'latin1');
      const found: number[] = [];
      stops.start(chunk);
      for (let at = stops.next(0); at < chunk.length; at = stops.next(at + 1)) found.push(at);
      const all = [...chunk.keys()].filter((index) => [0x05, 0x1b, 0xc2].includes(chunk[index] ?? 0));
      assert.deepEqual(found, all);
    }),
  );
});
