import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { holdersOf, unsafeDirectory, unsafePlace } from '../../src/host/state-place.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const [user, other] = [1234, 1235];

/** A directory three levels below one of ours, which may be changed: `outer/inner/place`. */
function nested(): { outer: string; inner: string; place: string } {
  const outer = join(temporaryDirectory(), 'outer');
  const inner = join(outer, 'inner');
  const place = join(inner, 'place');
  mkdirSync(place, { recursive: true });
  chmodSync(join(outer, '..'), 0o755);
  return { outer, inner, place };
}

function as<Result>(uid: number, action: () => Result): Result {
  process.setegid?.(uid);
  process.seteuid?.(uid);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

test('every directory on the way counts, and the sentence names the first one', () => {
  const { outer, inner, place } = nested();
  assert.equal(unsafePlace(join(place, 'state'), []), null);
  chmodSync(outer, 0o777);
  assert.equal(unsafePlace(join(place, 'state'), []), `lies in ${outer}, which everybody may write to`);
  chmodSync(outer, 0o1777);
  assert.equal(unsafeDirectory(place, []), null);
  chownSync(inner, user, user);
  assert.deepEqual(unsafeDirectory(place, []), {
    path: inner,
    reason: `belongs to the user ${user}, not to root`,
  });
});

test('a group may write if it is ours or root’s, not another one', () => {
  const { outer, inner, place } = nested();
  chmodSync(inner, 0o770);
  assert.equal(unsafeDirectory(place, []), null);
  chownSync(inner, 0, other);
  assert.deepEqual(unsafeDirectory(place, []), { path: inner, reason: `the group ${other} may write to` });
  // As with a group for each user and umask 002.
  for (const path of [outer, inner, place]) chownSync(path, user, user);
  chmodSync(inner, 0o775);
  assert.equal(
    as(user, () => unsafeDirectory(place, [])),
    null,
  );
  assert.deepEqual(
    as(other, () => unsafeDirectory(place, [])),
    {
      path: outer,
      reason: `belongs to the user ${user}, neither to us (${other}) nor to root`,
    },
  );
});

test('root believes the owner of the image and their own group, but nobody else does', () => {
  const { outer, inner, place } = nested();
  const holders = [{ uid: user, gid: user }];
  for (const path of [outer, inner, place]) chownSync(path, user, user);
  chmodSync(inner, 0o775);
  assert.equal(unsafeDirectory(outer, [])?.path, outer);
  assert.equal(unsafeDirectory(place, holders), null);
  assert.equal(as(other, () => unsafeDirectory(place, holders))?.path, outer);
  chownSync(inner, user, other);
  assert.equal(unsafeDirectory(place, holders)?.path, inner);
});

test('who holds an image is its owner, and whoever has a directory above it', () => {
  const { outer, inner, place } = nested();
  const image = write(join(place, 'disk.raw'));
  assert.deepEqual(holdersOf(image), []);
  chownSync(outer, user, other);
  assert.deepEqual(holdersOf(image), [{ uid: user, gid: other }]);
  symlinkSync(image, join(outer, '..', 'link'));
  assert.deepEqual(holdersOf(join(outer, '..', 'link')), [{ uid: user, gid: other }]);
  assert.equal(unsafePlace(`${image}.tpmstate`, holdersOf(image)), null);
  chownSync(image, other, user);
  assert.deepEqual(holdersOf(image), [
    { uid: other, gid: user },
    { uid: user, gid: other },
  ]);
  assert.equal(unsafePlace(`${image}.tpmstate`, holdersOf(image)), null);
  chownSync(inner, user + 7, user);
  assert.equal(unsafeDirectory(place, holdersOf(image)), null);
  assert.deepEqual(holdersOf(join(place, 'none')), []);
});

test('to what belongs to us any group may write that we are in, as a service with Group= has it', () => {
  const { outer, inner, place } = nested();
  for (const path of [outer, inner, place]) chownSync(path, user, other);
  chmodSync(inner, 0o775);
  const groups = process.getgroups?.() ?? [];
  const seen = (of: readonly number[]) => {
    process.setgroups?.([...of]);
    try {
      return as(user, () => unsafeDirectory(place, []));
    } finally {
      process.setgroups?.(groups);
    }
  };
  assert.deepEqual(seen([]), { path: inner, reason: `the group ${other} may write to` });
  assert.equal(seen([other]), null);
  chownSync(inner, 0, other);
  assert.deepEqual(seen([other]), { path: inner, reason: `the group ${other} may write to` });
});

test('links are followed step by step: each one and where it lies must be ours', () => {
  const { outer, inner, place } = nested();
  const [open, elsewhere] = [join(outer, 'open'), join(outer, 'elsewhere')];
  for (const path of [open, elsewhere]) mkdirSync(path);
  symlinkSync(place, join(open, 'second'));
  symlinkSync('../open/second', join(elsewhere, 'first'));
  const path = join(elsewhere, 'first');
  assert.equal(unsafeDirectory(path, []), null);
  lchownSync(join(open, 'second'), user, user);
  assert.equal(unsafeDirectory(path, [])?.path, join(open, 'second'));
  chmodSync(open, 0o777);
  assert.equal(unsafeDirectory(path, [])?.path, open);
  symlinkSync('loop', join(inner, 'loop'));
  assert.throws(() => unsafeDirectory(join(inner, 'loop'), []), { code: 'ELOOP' });
  assert.throws(() => unsafeDirectory(join(inner, 'nothing'), []), { code: 'ENOENT' });
});

test('in a user namespace those without a number there count as root, but not what everybody may write to', () => {
  const { inner, place } = nested();
  chownSync(inner, user, user);
  const program = asset('build', 'test', 'fixtures', 'unsafe-directory.cjs');
  const inside = () =>
    JSON.parse(
      execFileSync('unshare', ['--user', '--map-root-user', '--', process.execPath, program, place], {
        encoding: 'utf8',
      }),
    );
  assert.equal(unsafeDirectory(place, [])?.path, inner);
  assert.equal(inside(), null);
  chmodSync(inner, 0o777);
  assert.deepEqual(inside(), { path: inner, reason: 'everybody may write to' });
  // Elsewhere it is a user like any other.
  chmodSync(inner, 0o755);
  chownSync(inner, 65534, 65534);
  assert.equal(unsafeDirectory(place, [])?.path, inner);
});
