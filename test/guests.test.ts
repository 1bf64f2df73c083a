import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { ftruncateSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asset } from '../src/assets.ts';
import { copyImage, temporaryDirectory } from './guests.ts';

test('a raw copy of an image has its content and stays sparse', () => {
  using directory = temporaryDirectory();
  const image = join(directory.path, 'image.raw');
  const descriptor = openSync(image, 'w');
  ftruncateSync(descriptor, 64 << 20);
  writeSync(descriptor, 'here', 32 << 20);
  using other = temporaryDirectory();
  const copy = copyImage(image, other.path);
  assert.equal(copy, join(other.path, 'image.raw'));
  assert.ok(readFileSync(copy).equals(readFileSync(image)));
  assert.ok(statSync(copy).blocks * 512 < 1 << 20);
});

test('qcow2 copies say what they are', () => {
  using directory = temporaryDirectory();
  const image = join(directory.path, 'image.raw');
  const descriptor = openSync(image, 'w');
  ftruncateSync(descriptor, 1 << 20);
  const facts = (file: string): string =>
    execFileSync('qemu-img', ['info', '--output=json', file], { encoding: 'utf8' });
  const whole = facts(copyImage(image, directory.path, 'qcow2'));
  assert.match(whole, /"format": "qcow2"/);
  assert.doesNotMatch(whole, /"backing-filename"/);
  assert.ok(facts(copyImage(image, directory.path, 'overlay')).includes(`"backing-filename": "${image}"`));
});

test('the scripts have no finding of shellcheck', () => {
  const scripts = ['scripts/setup', 'scripts/test', 'scripts/demo', '.ci/run'];
  const testbed = ['test/testbed/build', 'test/testbed/boot'];
  const guests = ['build-debian', 'build-small', 'build-tree', 'common.sh', 'debian-init', 'small-init'];
  execFileSync(
    'shellcheck',
    [
      '-x',
      '-P',
      asset(),
      ...[...scripts, ...testbed].map((name) => asset(name)),
      ...guests.map((name) => asset('test/guest', name)),
    ],
    { stdio: 'inherit' },
  );
});
