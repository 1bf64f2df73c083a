import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, readdirSync, readlinkSync, readSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isQcow2 } from '../../src/image/qcow2.ts';
import { growImage } from '../../src/launch/growth.ts';
import { openOverlay } from '../../src/launch/overlay.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();
const size = 1024 ** 3;
const overlay = (...directories: string[]) =>
  openOverlay({ kind: 'overlay', target: 9, directories, size, what: '/images/a.raw' });

function mounted(name: string, options: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
  return path;
}

test('an overlay has no name, and is a sparse qcow2 for us alone', () => {
  const fd = overlay(directory);
  try {
    const start = Buffer.alloc(4);
    readSync(fd, start, 0, 4, 0);
    assert.ok(isQcow2(start));
    const status = fstatSync(fd);
    assert.equal(status.nlink, 0);
    assert.equal(status.mode & 0o777, 0o600);
    assert.ok(status.blocks * 512 < 200_000, `${status.blocks} blocks`);
    assert.deepEqual(readdirSync(directory), []);
  } finally {
    closeSync(fd);
  }
});

test('memory is no place for it, nor what is missing; the next directory is', () => {
  const memory = mounted('memory', 'size=10m');
  try {
    const fd = overlay(memory, join(directory, 'missing'), directory);
    assert.ok(!readlinkSync(`/proc/self/fd/${fd}`).startsWith(memory));
    closeSync(fd);
    assert.throws(() => overlay(memory, join(directory, 'missing')), {
      code: 'FILE',
      message: /no place .*\/images\/a\.raw .*memory lies in memory; .*missing: ENOENT/,
    });
  } finally {
    execFileSync('umount', [memory]);
  }
});

test('an image grows once, never shrinks, and only if it is the one that was looked at', () => {
  const path = write(join(directory, 'grow.raw'), Buffer.alloc(4096, 'x'));
  const status = () => {
    const fd = execFileSync('stat', ['-c', '%d:%i %s %b', path], { encoding: 'utf8' }).trim().split(' ');
    return { identity: fd[0] ?? '', size: Number(fd[1]), blocks: Number(fd[2]) };
  };
  const { identity } = status();
  growImage({ path, identity, size: 1024 ** 3 });
  assert.equal(status().size, 1024 ** 3);
  assert.ok(status().blocks <= 16);
  growImage({ path, identity, size: 8192 });
  assert.equal(status().size, 1024 ** 3);
  truncateSync(path, 4096);
  assert.throws(() => growImage({ path, identity: '1:1', size: 8192 }), {
    code: 'IMAGE',
    message: /was replaced/,
  });
  assert.equal(status().size, 4096);
  assert.throws(() => growImage({ path: join(directory, 'none'), identity, size: 8192 }), { code: 'FILE' });
});

test('an image that cannot grow that far says so', () => {
  const path = write(join(directory, 'far.raw'), Buffer.alloc(4096));
  const identity = execFileSync('stat', ['-c', '%d:%i', path], { encoding: 'utf8' }).trim();
  // Larger than a file of ext4 or XFS can be.
  assert.throws(() => growImage({ path, identity, size: 2 ** 53 - 4096 }), {
    code: 'FILE',
    message: /far\.raw cannot be enlarged to 9007199254736896 bytes/,
  });
});
