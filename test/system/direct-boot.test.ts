import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallGuest } from '../guests.ts';
import { leftovers, Run } from './harness.ts';

test('a kernel and an initrd boot directly, with the words of the command line', {
  timeout: 120_000,
}, async () => {
  const guest = smallGuest();
  const machine = 'direct';
  await using run = new Run([
    `--machine=${machine}`,
    `--linux=${guest.kernel}`,
    `--initrd=${guest.initrd}`,
    '--firmware=none',
    '--ram=256M',
    '--tpm=no',
    'word=with-value',
    'another',
  ]);
  await run.seen(/vmspawn-small: up on hvc0/);
  await run.seen(/cmdline: .*console=hvc0 word=with-value another/);
  run.type('poweroff');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
  assert.deepEqual(leftovers(machine), []);
});

test('SIGTERM presses the power button; the guest powers itself off; exit status 0', {
  timeout: 120_000,
}, async () => {
  const guest = smallGuest();
  await using run = new Run([
    '--machine=button',
    `--linux=${guest.kernel}`,
    `--initrd=${guest.initrd}`,
    '--ram=256M',
    '--tpm=no',
    '--firmware=none',
  ]);
  await run.seen(/vmspawn-small: ready/);
  run.child.kill('SIGTERM');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
  assert.deepEqual(leftovers('button'), []);
});
