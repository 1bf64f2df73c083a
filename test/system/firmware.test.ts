import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyImage, smallGuest } from '../guests.ts';
import { leftovers, Run, scratch, vmspawn } from './harness.ts';

const small = ['--ram=256M', '--tpm=no', '--kvm=no'];

test('BIOS firmware boots a disk with a master boot record', { timeout: 180_000 }, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().biosDisk, directory.path);
  await using run = new Run([`--image=${image}`, '--machine=bios', '--firmware=bios', ...small]);
  await run.seen(/vmspawn-small: up on hvc0/);
  await run.seen(/disk vda: disk.raw /);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0);
  assert.ok(!existsSync(`${image}.efinvramstate`), 'BIOS keeps no EFI variables');
  assert.deepEqual(leftovers('bios'), []);
});

test('UEFI firmware boots a unified kernel image, which gets the words of the command line', {
  timeout: 180_000,
}, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  await using run = new Run([`--image=${image}`, '--machine=uefi', ...small, 'from-the-host=1']);
  await run.seen(/vmspawn-small: up on hvc0/);
  await run.seen(/cmdline: .*from-the-host=1/);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0);
  assert.deepEqual(leftovers('uefi'), []);
});

test('a qcow2 image with a backing file boots; what the guest writes lands in the top layer only', {
  timeout: 180_000,
}, async () => {
  using directory = scratch();
  const base = copyImage(smallGuest().uefiDisk, directory.path);
  const top = join(directory.path, 'top.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', top]);
  const before = readFileSync(base);
  await using run = new Run([`--image=${top}`, '--machine=qcow2', ...small]);
  await run.seen(/vmspawn-small: ready/);
  run.type('write 40000000 hello-from-the-guest');
  await run.seen(/write: done/);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0);
  assert.ok(readFileSync(base).equals(before), 'the backing file is as it was');
  const raw = join(directory.path, 'out.raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', top, raw]);
  assert.ok(readFileSync(raw).includes('hello-from-the-guest'));
  assert.deepEqual(leftovers('qcow2'), []);
});

test('a unified kernel image given with --linux= boots under UEFI', { timeout: 180_000 }, async () => {
  await using run = new Run([
    `--linux=${smallGuest().unifiedKernel}`,
    '--machine=uki',
    ...small,
    'for-the-uki',
  ]);
  await run.seen(/cmdline: .*for-the-uki/);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0);
  assert.deepEqual(leftovers('uki'), []);
});

test('transient variables and TPM state leave nothing beside the image', { timeout: 180_000 }, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  await using run = new Run([
    `--image=${image}`,
    '--machine=transient',
    '--ram=256M',
    '--kvm=no',
    '--tpm=yes',
    '--tpm-state=off',
    '--efi-nvram-state=off',
  ]);
  await run.seen(/tpm: present/);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0);
  assert.ok(!existsSync(`${image}.efinvramstate`) && !existsSync(`${image}.tpmstate`));
  assert.deepEqual(leftovers('transient', directory.path), []);
});

test('the listing names firmware, BIOS and direct boot; bare paths in a pipe, JSON when asked', async () => {
  const list = await vmspawn(['--firmware=list']);
  assert.equal(list.code, 0, list.stderr);
  const paths = list.stdout.trim().split('\n');
  assert.ok(
    paths.every((path) => path.startsWith('/') && existsSync(path)),
    list.stdout,
  );
  assert.ok(paths.some((path) => path.includes('seabios')) && paths.some((path) => path.includes('direct')));
  const json: unknown = JSON.parse((await vmspawn(['--firmware=list', '--json'])).stdout);
  assert.ok(Array.isArray(json) && json.length === paths.length);
  const described = await vmspawn(['--firmware=describe']);
  assert.equal(described.code, 0, described.stderr);
  assert.doesNotThrow(() => JSON.parse(described.stdout));
});

test('a firmware descriptor that is no JSON is refused by name', async () => {
  using directory = scratch();
  const file = join(directory.path, 'broken.json');
  writeFileSync(file, '{ not json');
  const end = await vmspawn([`--firmware=${file}`, `--linux=${smallGuest().kernel}`]);
  assert.equal(end.code, 1);
  assert.match(end.stderr, /broken\.json/);
  copyFileSync('/usr/share/qemu/firmware/60-edk2-x86_64.json', file);
  const insecure = await vmspawn([
    `--firmware=${file}`,
    '--secure-boot=yes',
    `--linux=${smallGuest().kernel}`,
  ]);
  assert.equal(insecure.code, 1);
  assert.match(insecure.stderr, /secure-boot/);
});
