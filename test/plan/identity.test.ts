import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { vsockCids } from '../../src/plan/identity.ts';

const seeds = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

test('the CIDs of a machine are always the same, all different, and such as guests may have', () => {
  fc.assert(
    fc.property(seeds, (machineSeed) => {
      const cids = vsockCids({ machineSeed });
      assert.deepEqual(vsockCids({ machineSeed }), cids);
      assert.equal(new Set(cids).size, 16);
      for (const cid of cids) assert.ok(Number.isInteger(cid) && cid >= 3 && cid <= 0xfffffffe, String(cid));
    }),
  );
  for (const byte of ['00', 'ff']) {
    assert.equal(new Set(vsockCids({ machineSeed: byte.repeat(32) })).size, 16);
  }
});

test('machines that share one CID do not share the next', () => {
  const seed = (step: string) => `${'00'.repeat(22)}00000001${step}${'00'.repeat(2)}`;
  const [one, other] = ['00000005', '00000006'].map((step) => vsockCids({ machineSeed: seed(step) }));
  assert.equal(one?.[0], other?.[0]);
  assert.notEqual(one?.[1], other?.[1]);
});
