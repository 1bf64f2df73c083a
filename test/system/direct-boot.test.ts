import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { directBoot, leftovers, Run, scratch } from './harness.ts';

test('a kernel and an initrd boot directly, with the words of the command line', {
  timeout: 120_000,
}, async () => {
  const machine = 'direct';
  await using run = new Run([...directBoot(machine), 'word=with-value', 'another']);
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
  await using run = new Run(directBoot('button'));
  await run.seen(/vmspawn-small: ready/);
  run.child.kill('SIGTERM');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
  assert.deepEqual(leftovers('button'), []);
});

test('without the compiled early child the one in JavaScript does the same', {
  timeout: 120_000,
}, async () => {
  using directory = scratch();
  for (const part of ['bin', 'dist', 'firmware', 'package.json']) {
    cpSync(asset(part), join(directory.path, part), { recursive: true });
  }
  rmSync(join(directory.path, 'dist', 'vmspawn-child'));
  await using run = new Run(directBoot('no-compiler'), {}, join(directory.path, 'bin', 'vmspawn'));
  await run.seen(/vmspawn-small: ready/);
  run.type('poweroff');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
  assert.deepEqual(leftovers('no-compiler'), []);
});
