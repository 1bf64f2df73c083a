import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { execaSync } from 'execa';
import { asset } from '../src/assets.ts';
import { temporaryDirectory } from './temporary.ts';

const script = asset('scripts', 'install-units');

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length))
    .sort();
}

test('a package gets the units below DESTDIR and PREFIX, and takes the same away again', () => {
  const DESTDIR = temporaryDirectory();
  const env = { DESTDIR, PREFIX: '/opt/x', MACHINES_TARGET: 'yes' };
  execaSync(script, [], { env });
  assert.deepEqual(files(DESTDIR), [
    '/opt/x/lib/systemd/system/vmspawn@.service',
    '/opt/x/lib/systemd/user/machines.target',
    '/opt/x/lib/systemd/user/vmspawn@.service',
  ]);
  for (const kind of ['system', 'user']) {
    const unit = readFileSync(join(DESTDIR, `/opt/x/lib/systemd/${kind}/vmspawn@.service`), 'utf8');
    assert.match(unit, /^ExecStart=\/opt\/x\/bin\/vmspawn --quiet /m);
    assert.doesNotMatch(unit, /@VMSPAWN@/);
  }
  execaSync(script, ['--uninstall'], { env });
  assert.deepEqual(files(DESTDIR), []);
});

test('a program that systemd would not start and an unknown word are refused', () => {
  for (const [words, env] of [
    [['--nonsense'], {}],
    [[], { VMSPAWN: 'bin/vmspawn', DESTDIR: temporaryDirectory() }],
    [[], { VMSPAWN: '/a"b/vmspawn', DESTDIR: temporaryDirectory() }],
    [[], { VMSPAWN: "/a'b/vmspawn", DESTDIR: temporaryDirectory() }],
    [[], { VMSPAWN: '/a\\b/vmspawn', DESTDIR: temporaryDirectory() }],
    [[], { VMSPAWN: '/a\nb/vmspawn', DESTDIR: temporaryDirectory() }],
  ] as const) {
    assert.equal(execaSync(script, words, { env, reject: false }).exitCode, 1);
  }
});
