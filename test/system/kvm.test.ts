import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeKvm } from '../../src/host/kvm.ts';
import { directBoot, Run } from './harness.ts';

test('--kvm=auto boots with whatever works, with one warning where KVM does not', {
  timeout: 120_000,
}, async () => {
  const kvm = await probeKvm({ cache: { get: () => undefined, set: () => {} } });
  await using run = new Run([...directBoot('auto-kvm'), '--kvm=auto']);
  await run.seen(/vmspawn-small: ready/);
  run.type('poweroff');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
  const warnings = end.stderr.split('\n').filter((line) => line.includes('KVM is not usable'));
  assert.equal(warnings.length, kvm.usable ? 0 : 1, end.stderr);
  if (!kvm.usable) assert.ok(warnings[0]?.includes(kvm.reason), warnings[0]);
});
