import assert from 'node:assert/strict';
import { closeSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBeneath } from '../../src/sys/open-beneath.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();

test('a file below a directory, and none by a link that has come on the way', () => {
  const root = join(directory, 'tree');
  const path = join(root, 'boot/é kernel');
  write(path, 'kernel');
  write(join(directory, 'outside/é kernel'), 'secret');
  const fd = openBeneath(root, path);
  assert.equal(readFileSync(fd, 'utf8'), 'kernel');
  closeSync(fd);
  assert.throws(() => openBeneath(root, join(root, 'boot/none')), { code: 'ENOENT' });
  assert.throws(() => openBeneath(root, join(directory, 'outside/é kernel')), { code: 'EXDEV' });
  renameSync(join(root, 'boot'), join(root, 'old'));
  symlinkSync('../outside', join(root, 'boot'));
  assert.throws(() => openBeneath(root, path), { code: 'ELOOP' });
  mkdirSync(join(root, 'new'));
  symlinkSync(path, join(root, 'new/kernel'));
  assert.throws(() => openBeneath(root, join(root, 'new/kernel')), { code: 'ELOOP' });
});
