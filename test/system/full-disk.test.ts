import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { smallShell } from '../small-shell.ts';
import { directBoot, leftovers, program, Run, scratch, until, vmspawn } from './harness.ts';

const mebibyte = 1024 ** 2;

/** A small file system at `path`, given back on disposal. */
function mounted(path: string, words: readonly string[]): Disposable {
  mkdirSync(path);
  execFileSync('mount', [...words, path]);
  return { [Symbol.dispose]: () => execFileSync('umount', ['-l', path]) };
}

/** One that lies on a disk, as overlays must. */
function ext4(directory: string, size: string): Disposable & { readonly path: string } {
  const [path, disk] = [join(directory, 'ext4'), join(directory, 'ext4.img')];
  execFileSync('truncate', ['-s', size, disk]);
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-m', '0', disk]);
  return { path, ...mounted(path, ['-o', 'loop', disk]) };
}

/** Takes all the space but `rest` bytes. */
function fill(path: string, rest: number): string {
  const { bavail, bsize } = statfsSync(path);
  const filler = join(path, 'filler');
  writeFileSync(filler, Buffer.alloc(Math.max(bavail * bsize - rest, 0), 1));
  return filler;
}

test('drives without space for what the guest writes: said which, going on with space, ended without', {
  timeout: 240_000,
}, async () => {
  using directory = scratch();
  const disk = join(directory.path, 'disk');
  using _disk = mounted(disk, ['-t', 'tmpfs', '-o', 'size=3M', 'tmpfs']);
  const [image, data] = [join(disk, 'image.raw'), join(disk, 'data.qcow2')];
  execFileSync('truncate', ['-s', '4M', image]);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', data, '4M']);
  await using run = new Run([...directBoot('full-drives'), `--image=${image}`, `--extra-drive=${data}`]);
  const guest = await smallShell(run);
  await guest(`head -c ${4 * mebibyte} /dev/zero | tr '\\0' d > /data`);

  run.type("dd if=/data of=/dev/vdb bs=64k conv=fsync; echo wri''tten-$?");
  await until(() => /No space is left for drive disk1.*paused\. .*SIGUSR2/.test(run.stderr));
  // Without space it pauses again, and says so again.
  run.child.kill('SIGUSR2');
  await until(() => run.stderr.match(/No space is left for drive disk1/g)?.length === 2);
  execFileSync('mount', ['-o', 'remount,size=6M', disk]);
  run.child.kill('SIGUSR2');
  await run.seen(/written-0/);

  run.type('dd if=/data of=/dev/vda bs=64k conv=fsync');
  await until(() => /No space is left for drive disk0/.test(run.stderr));
  run.child.kill('SIGTERM');
  const end = await run.ended;
  assert.match(end.stderr, /paused and cannot power itself off/);
  assert.equal(end.code, 1, end.stderr);
  assert.deepEqual(readdirSync(disk).sort(), ['data.qcow2', 'image.raw']);
  const written = join(directory.path, 'written');
  execFileSync('qemu-img', ['convert', '-O', 'raw', data, written]);
  assert.ok(
    readFileSync(written).equals(Buffer.alloc(4 * mebibyte, 'd')),
    'nothing that was written is lost',
  );
  assert.deepEqual(leftovers('full-drives', disk), []);
});

test('TPM state on a disk that gets full: the guest goes on and ends, the state stays what it was', {
  timeout: 240_000,
}, async () => {
  using directory = scratch();
  const disk = join(directory.path, 'disk');
  using _disk = mounted(disk, ['-t', 'tmpfs', '-o', 'size=1M', 'tmpfs']);
  const words = [
    ...directBoot('full-tpm').filter((word) => word !== '--tpm=no'),
    '--tpm=yes',
    `--tpm-state=${disk}/tpm`,
  ];
  const filler = fill(disk, 0);
  const refused = await vmspawn(words);
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(
    refused.stderr,
    /^vmspawn: TPM state cannot be made, because there is no space left in \/.*\/disk\. [^\n]*\n$/,
  );
  assert.deepEqual(readdirSync(disk), ['filler']);
  assert.deepEqual(leftovers('full-tpm', disk), []);
  rmSync(filler);

  await using run = new Run(words);
  const guest = await smallShell(run);
  assert.match(await guest('ls /dev/tpm0'), /^\/dev\/tpm0$/m);
  const file = join(disk, 'tpm', 'tpm2-00.permall');
  const before = readFileSync(file);
  fill(disk, 0);
  run.type('poweroff -f');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
  assert.ok(before.length > 0 && readFileSync(file).length > 0);
  assert.deepEqual(leftovers('full-tpm', disk), []);
});

test('no space for the overlay of an ephemeral machine: one sentence, nothing made', {
  timeout: 60_000,
}, async () => {
  using directory = scratch();
  using disk = ext4(directory.path, '4M');
  const image = join(disk.path, 'image.raw');
  writeFileSync(image, Buffer.alloc(mebibyte, 1));
  fill(disk.path, 0);
  const unmounted = ['-m', 'sh', '-c', 'mount -t tmpfs -o size=4k tmpfs /var/tmp && exec "$0" "$@"'];
  const words = [...directBoot('full-overlay'), `--image=${image}`, '--ephemeral'];
  const run = new Run([...unmounted, program, ...words], {}, 'unshare');
  run.child.stdin.end();
  const end = await run.ended;
  assert.equal(end.code, 1, end.stderr);
  assert.match(end.stderr, /^vmspawn: There is no place for what the guest writes to .*image\.raw.*\n$/);
  assert.deepEqual(readdirSync(disk.path).sort(), ['filler', 'image.raw', 'lost+found']);
  assert.deepEqual(leftovers('full-overlay', disk.path), []);
});
