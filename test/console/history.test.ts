import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConsoleHistory } from '../../src/console/history.ts';

test('what is here is the last part of what was written, at its offsets', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ size: fc.integer({ min: 0, max: 40_000 }), reader: fc.nat({ max: 200_000 }) }), {
        maxLength: 40,
      }),
      (steps) => {
        const limits = { history: 50_000, backlog: 120_000 };
        const history = new ConsoleHistory(limits);
        let all = Buffer.alloc(0);
        let needed = Infinity;
        for (const { size, reader } of steps) {
          const chunk = Buffer.alloc(size, String(size));
          needed = Math.min(all.length + size, reader);
          history.add(chunk, needed);
          all = Buffer.concat([all, chunk]);
          assert.equal(history.end, all.length);
          const kept = history.end - history.begin;
          // Dropped in whole blocks.
          assert.ok(kept <= limits.backlog + 64 * 1024, `${kept}`);
          assert.ok(kept >= Math.min(all.length, limits.history));
        }
        const parts: Buffer[] = [];
        for (let at = history.begin; at < history.end; ) {
          const part = history.at(at);
          assert.ok(part !== null);
          parts.push(part);
          at += part.length;
        }
        assert.deepEqual(Buffer.concat(parts), all.subarray(history.begin));
        assert.equal(history.at(history.end), null);
      },
    ),
  );
});

test('what somebody waits for is kept longer, but not for ever', () => {
  const history = new ConsoleHistory({ history: 100_000, backlog: 400_000 });
  for (let i = 0; i < 10; i += 1) history.add(Buffer.alloc(30_000), 5);
  assert.equal(history.begin, 0);
  for (let i = 0; i < 10; i += 1) history.add(Buffer.alloc(30_000), 5);
  assert.ok(history.begin > 5 && history.end - history.begin >= 400_000);
  history.add(Buffer.alloc(30_000), Infinity);
  assert.ok(history.end - history.begin < 140_000);
});

test('bytes that were given out stay as they are', () => {
  const history = new ConsoleHistory({ history: 10, backlog: 10 });
  history.add(Buffer.from('one'), 0);
  const given = history.at(0);
  history.add(Buffer.from('two'), 0);
  for (let i = 0; i < 100; i += 1) history.add(Buffer.alloc(20_000, 'x'), Infinity);
  assert.equal(given?.toString(), 'one');
  assert.throws(() => history.at(0), /not here any more/);
});

test('lines', () => {
  const history = new ConsoleHistory({ history: 1000, backlog: 1000 });
  history.add(Buffer.from('one\ntwo\nthree'), 0);
  assert.equal(history.lineStart(0), 0);
  assert.equal(history.lineStart(1), 4);
  assert.equal(history.lineStart(5), 8);
  // No end in sight.
  assert.equal(history.lineStart(9), 9);
});
