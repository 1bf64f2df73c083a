import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyImage, smallGuest } from '../guests.ts';
import { leftovers, Run, scratch, vmspawn } from './harness.ts';

test('the script of a dry run starts the same machine by hand', { timeout: 180_000 }, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  const dry = await vmspawn([
    `--image=${image}`,
    '--machine=by-hand',
    '--ram=256M',
    '--kvm=no',
    '--tpm=yes',
    '--dry-run',
    'by=hand',
  ]);
  assert.equal(dry.code, 0, dry.stderr);
  assert.deepEqual(readdirSync(directory.path), ['uefi.raw'], 'a dry run makes nothing');
  const script = join(directory.path, 'start.sh');
  writeFileSync(script, dry.stdout);
  execFileSync('bash', ['-n', script]);
  await using run = new Run([script], {}, 'bash');
  await run.seen(/cmdline: .*by=hand/);
  await run.seen(/tpm: present/);
  await run.seen(/vmspawn-small: ready/);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0, run.stderr);
  assert.ok(existsSync(`${image}.efinvramstate`) && existsSync(`${image}.tpmstate`));
  assert.deepEqual(leftovers('by-hand'), []);
});

test('the script puts several initrds together as vmspawn does', { timeout: 120_000 }, async () => {
  using directory = scratch();
  const guest = smallGuest();
  const extra = join(directory.path, "it's extra");
  writeFileSync(extra, Buffer.alloc(5));
  const words = [
    `--linux=${guest.kernel}`,
    `--initrd=${guest.initrd}`,
    `--initrd=${extra}`,
    '--firmware=none',
    '--machine=initrds',
    '--ram=256M',
    '--tpm=no',
  ];
  for (const by of ['vmspawn', 'hand'] as const) {
    const script = join(directory.path, 'start.sh');
    if (by === 'hand') writeFileSync(script, (await vmspawn([...words, '--dry-run=text'])).stdout);
    await using run = by === 'hand' ? new Run([script], {}, 'bash') : new Run(words);
    await run.seen(/vmspawn-small: ready/);
    run.type('poweroff');
    assert.equal((await run.ended).code, 0, run.stderr);
  }
});

test('a dry run as JSON is the plan', async () => {
  const dry = await vmspawn([
    `--linux=${smallGuest().kernel}`,
    '--machine=json',
    '--tpm=no',
    '--dry-run=json',
  ]);
  assert.equal(dry.code, 0, dry.stderr);
  const plan: unknown = JSON.parse(dry.stdout);
  assert.ok(typeof plan === 'object' && plan !== null && 'format' in plan && 'machine' in plan);
  assert.equal(plan.format, 1);
  assert.equal(plan.machine, 'json');
  assert.ok(!existsSync('/run/vmspawn/json'));
});
