import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePlan } from '../../src/plan/make-plan.ts';
import { debian12, kernel, settings } from './hosts.ts';

test('QEMU gets the limit that we were started with, but no lower one than it needs where more is allowed', () => {
  for (const [given, expected] of [
    [20, 1024],
    [1024, 1024],
    [4096, 4096],
  ] as const) {
    const identity = { ...debian12.identity, descriptorLimit: { soft: given, hard: 8192 } };
    const plan = makePlan(
      settings({ linux: kernel.pe.path }),
      { ...debian12, kernel: kernel.pe, identity },
      'limits',
    );
    assert.deepEqual(plan.descriptorLimit, { soft: expected, hard: 8192 });
  }
  const identity = { ...debian12.identity, descriptorLimit: { soft: 20, hard: 512 } };
  const plan = makePlan(
    settings({ linux: kernel.pe.path }),
    { ...debian12, kernel: kernel.pe, identity },
    'limits',
  );
  assert.deepEqual(plan.descriptorLimit, { soft: 512, hard: 512 });
});
