import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { copyImage, smallGuest } from '../guests.ts';
import { directBoot, leftovers, Run, scratch } from './harness.ts';

test('SIGTERM at any moment of the start leaves nothing behind', { timeout: 300_000 }, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  const words = [
    `--image=${image}`,
    '--machine=early',
    '--ram=256M',
    '--kvm=no',
    '--tpm=yes',
    '--shutdown-timeout=1s',
  ];
  for (let delay = 0; delay <= 600; delay += 40) {
    await using run = new Run(words);
    await new Promise((resolve) => setTimeout(resolve, delay));
    run.child.kill('SIGTERM');
    const end = await run.ended;
    // Before the handlers are in place the signal ends the program by itself; nothing exists then.
    assert.ok(end.signal === 'SIGTERM' || end.code === 143, `after ${delay} ms: ${end.code} ${end.stderr}`);
    assert.deepEqual(leftovers('early', directory.path), [], `after ${delay} ms: ${end.stderr}`);
    assert.ok(!existsSync(`${image}.tpmstate.vmspawn-unfinished`), `after ${delay} ms: half-made state`);
  }
});

test('a guest that ignores the power button is ended after the grace period, with status 1', {
  timeout: 120_000,
}, async () => {
  await using run = new Run([...directBoot('deaf'), '--shutdown-timeout=2s', 'ignore-power-button']);
  await run.seen(/vmspawn-small: ready/);
  run.child.kill('SIGTERM');
  const end = await run.ended;
  assert.equal(end.code, 1, end.stderr);
  assert.match(end.stderr, /2 ?s/);
  assert.deepEqual(leftovers('deaf'), []);
});

test('a second signal does not wait for the guest', { timeout: 120_000 }, async () => {
  await using run = new Run([...directBoot('hurry'), '--shutdown-timeout=infinity', 'ignore-power-button']);
  await run.seen(/vmspawn-small: ready/);
  run.child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 300));
  run.child.kill('SIGTERM');
  const end = await run.ended;
  assert.equal(end.code, 1, end.stderr);
  assert.deepEqual(leftovers('hurry'), []);
});
