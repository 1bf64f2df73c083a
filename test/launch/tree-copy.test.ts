import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { throwAwayPlace as placeOf } from '../../src/host/throw-away-place.ts';
import { inspectTree } from '../../src/image/tree.ts';
import { TreeCopy } from '../../src/launch/tree-copy.ts';
import { Draft } from '../../src/plan/draft.ts';
import type { PlannedTreeCopy } from '../../src/plan/plan.ts';
import { containerPrefix, planTreeCopy } from '../../src/plan/tree-copy.ts';
import { lockDirectory } from '../../src/sys/directory-lock.ts';
import { debian12, settings } from '../plan/hosts.ts';
import { temporaryDirectory } from '../temporary.ts';
import { treeDigest } from '../tree-digest.ts';

const never = new AbortController().signal;
const directory = temporaryDirectory();
let runs = 0;

/** A tree with everything that a copy can lose. */
function makeTree(path: string): string {
  execFileSync('sh', [
    '-euc',
    `mkdir -p "$1/a/empty" "$1/dev"; cd "$1"
     echo text >a/file; chmod 4711 a/file; chown 1:2 a/file; ln a/file a/hard; ln -s ../absent a/link
     head -c 300000 /dev/urandom >big; truncate -s 10M sparse; mkfifo pipe; mknod dev/null c 1 3; chown -h 5:6 a/link
     touch -d 2001-02-03T04:05:06.789 a/file a; chmod 1777 a; chown 1000:1000 a/empty
     python3 -c 'import os; os.setxattr("a/file", "user.test", b"v"); os.setxattr("big", "trusted.test", b"v")'
     setcap cap_net_raw+ep big`,
    'sh',
    path,
  ]);
  return path;
}

function plan(path: string): PlannedTreeCopy {
  const tree = inspectTree(path, { architecture: 'x86_64', findKernel: false, copied: true });
  runs += 1;
  const facts = { ...debian12, tree, runId: `run-${runs}` };
  const planned = planTreeCopy(settings({ ephemeral: true }), facts, new Draft());
  assert.ok(planned !== null);
  return planned;
}

function containers(path: string): string[] {
  return readdirSync(path).filter((name) => name.startsWith(containerPrefix));
}

/** A file system of its own in a file. */
function mounted(kind: 'btrfs' | 'ext4', megabytes: number): { path: string } & Disposable {
  runs += 1;
  const image = join(directory, `${kind}-${runs}.img`);
  writeFileSync(image, '');
  truncateSync(image, megabytes * 1024 ** 2);
  execFileSync(`mkfs.${kind}`, ['-q', image]);
  const path = join(directory, `${kind}-${runs}`);
  mkdirSync(path);
  execFileSync('mount', ['-o', 'loop', image, path]);
  return { path, [Symbol.dispose]: () => void execFileSync('umount', [path]) };
}

test('a copy is as the tree is: owners, modes, times, links, special files, attributes; and is gone afterwards', async () => {
  const tree = makeTree(join(directory, 'tree'));
  const before = treeDigest(tree);
  const planned = plan(tree);
  {
    await using copy = new TreeCopy(planned);
    await copy.make(never);
    assert.equal(treeDigest(planned.path), before);
    assert.equal(statSync(planned.container).mode & 0o7777, 0o700);
    assert.equal(lockDirectory(planned.container), null);
    assert.notEqual(statSync(join(planned.path, 'big')).ino, statSync(join(tree, 'big')).ino);
    execFileSync('sh', ['-c', 'rm -r "$1/a"; echo x >"$1/big"; chown 7 "$1"', 'sh', planned.path]);
  }
  assert.equal(treeDigest(tree), before);
  assert.deepEqual(containers(directory), []);
});

test('on btrfs it is a snapshot, which shares all blocks', async () => {
  using place = mounted('btrfs', 200);
  const subvolume = join(place.path, 'tree');
  execFileSync('btrfs', ['-q', 'subvolume', 'create', subvolume]);
  makeTree(subvolume);
  const before = treeDigest(subvolume);
  const planned = plan(subvolume);
  assert.ok(planned.subvolume);
  {
    await using copy = new TreeCopy({ ...planned, copy: ['/bin/false'] });
    await copy.make(never);
    assert.equal(statSync(planned.path).ino, 256);
    assert.equal(treeDigest(planned.path), before);
    writeFileSync(join(planned.path, 'big'), '');
  }
  assert.equal(treeDigest(subvolume), before);
  assert.deepEqual(containers(place.path), []);
  const list = execFileSync('btrfs', ['subvolume', 'list', place.path], { encoding: 'utf8' });
  assert.equal(list.trim().split('\n').length, 1, list);

  // What a killed machine has left goes as well, and what is no subvolume is copied.
  const dead = join(place.path, `${containerPrefix}dead`);
  mkdirSync(dead);
  execFileSync('btrfs', ['-q', 'subvolume', 'snapshot', subvolume, join(dead, 'tree')]);
  const plain = makeTree(join(place.path, 'plain'));
  {
    await using copy = new TreeCopy(plan(plain));
    await copy.make(never);
    assert.equal(containers(place.path).length, 1);
    assert.ok(!existsSync(dead));
  }
  assert.deepEqual(containers(place.path), []);
});

test('a full disk is one message, and nothing is left', async () => {
  using place = mounted('ext4', 40);
  const tree = join(place.path, 'tree');
  mkdirSync(tree);
  execFileSync('sh', [
    '-c',
    'for n in 1 2 3 4 5; do head -c 5000000 /dev/urandom >"$1/$n"; done',
    'sh',
    tree,
  ]);
  const before = treeDigest(tree);
  const copy = new TreeCopy(plan(tree));
  await assert.rejects(copy.make(never), (error: Error & { code: string }) => {
    assert.equal(error.code, 'FILE');
    assert.match(error.message, /tree cannot be copied to .*vmspawn-tree-/);
    assert.match(String(error.cause), /^Error: cp: [^\n]*No space left on device$/);
    return true;
  });
  await copy[Symbol.asyncDispose]();
  assert.equal(treeDigest(tree), before);
  assert.deepEqual(containers(place.path), []);
});

test('a copy that is given up ends at once and is gone', async () => {
  const tree = join(directory, 'slow');
  mkdirSync(tree);
  const stop = new AbortController();
  const planned: PlannedTreeCopy = { ...plan(tree), copy: ['/bin/sleep', '1000000'] };
  const copy = new TreeCopy(planned);
  const made = copy.make(stop.signal);
  while (!existsSync(planned.container)) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort(new Error('enough'));
  await assert.rejects(made, { code: 'INTERRUPTED' });
  await copy[Symbol.asyncDispose]();
  assert.deepEqual(containers(directory), []);
});

test('what a killed machine left is removed, and what a running one has is not', async () => {
  const base = join(directory, 'shared');
  mkdirSync(base);
  const tree = makeTree(join(base, 'tree'));
  const [dead, alive] = [`${containerPrefix}dead`, `${containerPrefix}alive`].map((name) => join(base, name));
  assert.ok(dead !== undefined && alive !== undefined);
  for (const path of [dead, alive]) mkdirSync(join(path, 'tree/x'), { recursive: true });
  const holder = spawn('flock', [alive, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  {
    await using copy = new TreeCopy(plan(tree));
    await copy.make(never);
    assert.ok(!existsSync(dead));
  }
  assert.deepEqual(containers(base), [`${containerPrefix}alive`]);
  holder.stdin.end();
  await new Promise((resolve) => holder.once('exit', resolve));
});

test('the removal of what a killed machine left ends with the start', async () => {
  const base = join(directory, 'large-remnant');
  mkdirSync(join(base, 'tree'), { recursive: true });
  mkdirSync(join(base, `${containerPrefix}dead`));
  const planned = plan(join(base, 'tree'));
  const stop = new AbortController();
  const slow = 'case "$1" in *dead) touch "$1/started"; exec sleep 1000000;; *) rm -r "$1";; esac';
  const copy = new TreeCopy({ ...planned, remove: ['/bin/sh', '-c', slow, 'sh', planned.container] });
  const made = copy.make(stop.signal);
  while (!existsSync(join(base, `${containerPrefix}dead/started`))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stop.abort(new Error('enough'));
  await assert.rejects(made, { code: 'INTERRUPTED' });
  await copy[Symbol.asyncDispose]();
  assert.deepEqual(containers(base), [`${containerPrefix}dead`]);
});

test('a tree that is not the one that was looked at is not copied', async () => {
  const tree = join(directory, 'other');
  mkdirSync(tree);
  const planned = plan(tree);
  await using copy = new TreeCopy({ ...planned, identity: '1:1' });
  await assert.rejects(copy.make(never), /was replaced by another directory/);
});

test('the place of a copy is never memory, the tree itself or anybody’s', () => {
  const base = join(directory, 'place');
  const throwAwayPlace = (path: string) => placeOf(path, []);
  mkdirSync(join(base, 'tree'), { recursive: true });
  assert.deepEqual(throwAwayPlace(join(base, 'tree')), { usable: true, directory: base });
  execFileSync('chmod', ['0777', base]);
  assert.deepEqual(throwAwayPlace(join(base, 'tree')), { usable: true, directory: '/var/tmp' });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', base]);
  try {
    mkdirSync(join(base, 'tree'));
    assert.deepEqual(throwAwayPlace(join(base, 'tree')), { usable: true, directory: '/var/tmp' });
  } finally {
    execFileSync('umount', [base]);
  }
  const root = throwAwayPlace('/');
  assert.deepEqual(root, { usable: false, reason: '/ lies in itself; /var/tmp lies in itself' });
});
