import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { imageDirectories, locateImage } from '../../src/image/locate.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();
const [first, second] = [join(directory, 'first'), join(directory, 'second')];
const lookup = {
  user: false,
  environment: {},
  home: null,
  directories: [first, join(directory, 'absent'), second],
};
const locate = (name: string) => locateImage(name, lookup);

test('the directories in order', () => {
  const system = [
    '/etc/machines',
    '/run/machines',
    '/var/lib/machines',
    '/usr/local/lib/machines',
    '/usr/lib/machines',
  ];
  assert.deepEqual(imageDirectories({ user: false, environment: {}, home: '/home/u' }), system);
  assert.deepEqual(imageDirectories({ user: true, environment: {}, home: '/home/u' }), [
    '/home/u/.local/state/machines',
    ...system,
  ]);
  const environment = { XDG_STATE_HOME: '/s' };
  assert.deepEqual(imageDirectories({ user: true, environment, home: null }), ['/s/machines', ...system]);
  assert.deepEqual(
    imageDirectories({ user: true, environment: { XDG_STATE_HOME: 's' }, home: null }),
    system,
  );
});

test('the first hit wins', async () => {
  write(join(first, 'a.qcow2'), 'x');
  write(join(second, 'a.raw'), 'x');
  write(join(second, 'b.qcow2'), 'x');
  write(join(second, 'b.raw'), 'x');
  write(join(second, 'c'), 'x');
  symlinkSync('c', join(second, 'd.raw'));
  assert.deepEqual(await locate('a'), { path: join(first, 'a.qcow2'), format: 'qcow2' });
  assert.deepEqual(await locate('b'), { path: join(second, 'b.raw'), format: 'raw' });
  assert.deepEqual(await locate('c'), { path: join(second, 'c'), format: 'raw' });
  assert.deepEqual(await locate('d'), { path: join(second, 'd.raw'), format: 'raw' });
});

test('a directory tree has no format and no suffix, a FIFO is refused', async () => {
  mkdirSync(join(first, 'tree'));
  assert.deepEqual(await locate('tree'), { path: join(first, 'tree'), format: null });
  mkdirSync(join(first, 'other.raw'));
  await assert.rejects(locate('other'), {
    code: 'IMAGE',
    message: /neither a regular file nor a block device/,
  });
  execFileSync('mkfifo', [join(first, 'pipe.raw')]);
  await assert.rejects(locate('pipe'), {
    code: 'IMAGE',
    message: /neither a regular file nor a block device/,
  });
});

test('not found names the places', async () => {
  symlinkSync('loop.raw', join(first, 'loop.raw'));
  for (const name of ['nothing', 'loop']) {
    await assert.rejects(locate(name), {
      code: 'IMAGE',
      message: `There is no image ${name}.raw, ${name}.qcow2 or ${name} in ${lookup.directories.join(', ')}`,
    });
  }
});

test('a name that leads elsewhere is refused', async () => {
  for (const name of ['../first/a', '', '-x', 'a\0', 'a\nb', 'x'.repeat(300)]) {
    await assert.rejects(locate(name), { code: 'USAGE', message: /no valid machine name/ });
  }
});
