import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileError } from '../../src/errors.ts';
import { ensurePrivateDirectory, makeRuntimeDirectory } from '../../src/launch/runtime-directory.ts';
import { temporaryDirectory } from '../guests.ts';

test('a directory is made with its parents, only for us', () => {
  using scratch = temporaryDirectory();
  const path = join(scratch.path, 'a', 'b');
  ensurePrivateDirectory(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  ensurePrivateDirectory(path);
});

test('one that others can write to, a link and a file are refused', () => {
  using scratch = temporaryDirectory();
  const open = join(scratch.path, 'open');
  mkdirSync(open);
  chmodSync(open, 0o770);
  assert.throws(() => ensurePrivateDirectory(open), FileError);
  const link = join(scratch.path, 'link');
  symlinkSync(scratch.path, link);
  assert.throws(() => ensurePrivateDirectory(link), FileError);
  const file = join(scratch.path, 'file');
  writeFileSync(file, '');
  assert.throws(() => ensurePrivateDirectory(file), FileError);
});

test('what a killed run has left is gone, and the directory goes with its owner', async () => {
  using scratch = temporaryDirectory();
  const path = join(scratch.path, 'vmspawn', 'machine');
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'tpm.sock'), '');
  {
    await using _directory = makeRuntimeDirectory(path);
    assert.ok(existsSync(path) && !existsSync(join(path, 'tpm.sock')));
  }
  assert.ok(!existsSync(path));
});
