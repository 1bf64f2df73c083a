import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeKvm } from '../../src/host/kvm.ts';
import { smallGuest } from '../guests.ts';
import { Run } from './harness.ts';

test('--kvm=auto boots with whatever works, with one warning where KVM does not', {
  timeout: 120_000,
}, async () => {
  const kvm = await probeKvm({ cache: { get: () => undefined, set: () => {} } });
  const guest = smallGuest();
  await using run = new Run([
    `--linux=${guest.kernel}`,
    `--initrd=${guest.initrd}`,
    '--firmware=none',
    '--machine=auto-kvm',
    '--ram=256M',
    '--tpm=no',
  ]);
  await run.seen(/vmspawn-small: ready/);
  run.type('poweroff');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
  const warnings = end.stderr.split('\n').filter((line) => line.includes('KVM is not usable'));
  assert.equal(warnings.length, kvm.usable ? 0 : 1, end.stderr);
  if (!kvm.usable) assert.ok(warnings[0]?.includes(kvm.reason), warnings[0]);
});
