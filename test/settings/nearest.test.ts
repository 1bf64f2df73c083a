import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editDistance, nearest } from '../../src/settings/nearest.ts';

test('distances of known pairs', () => {
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('image', 'imgae'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('ca', 'abc'), 3);
});

test('a distance is one: zero for the same, the same both ways, at most the longer length', () => {
  const word = fc.string({ unit: fc.constantFrom(...'abc'), maxLength: 8 });
  fc.assert(
    fc.property(word, word, (left, right) => {
      const distance = editDistance(left, right);
      assert.equal(distance, editDistance(right, left));
      assert.equal(distance === 0, left === right);
      assert.ok(distance <= Math.max(left.length, right.length));
      assert.ok(distance >= Math.abs(left.length - right.length));
    }),
  );
});

test('what is far from everything has no nearest word', () => {
  assert.equal(nearest('imgae', ['ram', 'image']), 'image');
  assert.equal(nearest('RAM', ['ram', 'image']), 'ram');
  assert.equal(nearest('bind', ['ram', 'image']), null);
  assert.equal(nearest('x'.repeat(10_000), ['x'.repeat(9999)]), null);
});
