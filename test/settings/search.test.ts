import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileError, UsageError } from '../../src/errors.ts';
import { findSettings, readSettings, settingsDirectories } from '../../src/settings/search.ts';
import { temporaryDirectory } from '../guests.ts';

test('directories of the system', () => {
  assert.deepEqual(settingsDirectories({ user: false, environment: { HOME: '/h' } }), [
    '/etc/vmspawn',
    '/run/vmspawn',
    '/usr/local/lib/vmspawn',
    '/usr/lib/vmspawn',
  ]);
});

test('directories of a user, with and without what the session says', () => {
  assert.deepEqual(
    settingsDirectories({
      user: true,
      environment: { HOME: '/h', XDG_CONFIG_HOME: '/c', XDG_RUNTIME_DIR: '/r', XDG_DATA_HOME: 'relative' },
    }),
    [
      '/c/vmspawn',
      '/etc/vmspawn',
      '/r/vmspawn',
      '/h/.local/share/vmspawn',
      '/usr/local/lib/vmspawn',
      '/usr/lib/vmspawn',
    ],
  );
  assert.deepEqual(settingsDirectories({ user: true, environment: {} }), [
    '/etc/vmspawn',
    '/usr/local/lib/vmspawn',
    '/usr/lib/vmspawn',
  ]);
});

test('the first file counts, a directory of that name is none, a link to /dev/null hides the later ones', () => {
  using scratch = temporaryDirectory();
  const directories = ['a', 'b', 'c'].map((name) => join(scratch.path, name));
  const [a = '', b = '', c = ''] = directories;
  for (const directory of directories) mkdirSync(directory);
  assert.equal(findSettings('m', directories), null);
  mkdirSync(join(a, 'm.vmspawn'));
  writeFileSync(join(b, 'm.vmspawn'), 'b');
  writeFileSync(join(c, 'm.vmspawn'), 'c');
  const found = findSettings('m', directories);
  assert.equal(found?.path, join(b, 'm.vmspawn'));
  assert.equal(found?.content.toString(), 'b');
  symlinkSync('/dev/null', join(a, 'n.vmspawn'));
  writeFileSync(join(b, 'n.vmspawn'), 'b');
  assert.equal(findSettings('n', directories)?.content.length, 0);
  assert.equal(findSettings('m', [join(b, 'm.vmspawn')]), null);
});

test('what is no file is refused without waiting for it', () => {
  using scratch = temporaryDirectory();
  const path = join(scratch.path, 'm.vmspawn');
  execFileSync('mkfifo', [path]);
  assert.throws(() => readSettings(path), UsageError);
  assert.throws(() => readSettings('/dev/zero'), UsageError);
  const loop = join(scratch.path, 'loop.vmspawn');
  symlinkSync(loop, loop);
  assert.throws(() => readSettings(loop), FileError);
});

test('no more is read than a settings file can have, and one byte to see that there is more', () => {
  using scratch = temporaryDirectory();
  const path = join(scratch.path, 'm.vmspawn');
  writeFileSync(path, Buffer.alloc(2 * 1024 ** 2, 0x20));
  assert.equal(readSettings(path)?.content.length, 1024 ** 2 + 1);
});
