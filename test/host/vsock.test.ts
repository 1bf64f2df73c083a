import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takenCids } from '../../src/host/vsock.ts';

/** What is claimed, in order, where others have `taken`. */
function claims(
  cids: readonly number[],
  taken: readonly number[],
): { tried: number[]; found: readonly number[] } {
  const tried: number[] = [];
  const found = takenCids(cids, (cid) => {
    tried.push(cid);
    return !taken.includes(cid);
  });
  return { tried, found };
}

test('the first CID that is free is claimed and no further one is tried', () => {
  assert.deepEqual(claims([7, 8, 9], []), { tried: [7], found: [] });
  assert.deepEqual(claims([7, 8, 9], [9]), { tried: [7], found: [] });
  assert.deepEqual(claims([7, 8, 9], [7, 8]), { tried: [7, 8, 9], found: [7, 8] });
});

test('where all are taken, all are named', () => {
  assert.deepEqual(claims([7, 8], [7, 8]), { tried: [7, 8], found: [7, 8] });
  assert.deepEqual(claims([42], [42]), { tried: [42], found: [42] });
});

test('a device that cannot be asked is no taken CID', () => {
  assert.throws(
    () =>
      takenCids([7], () => {
        throw new Error('EIO');
      }),
    /EIO/,
  );
});
