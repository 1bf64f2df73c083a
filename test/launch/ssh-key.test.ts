import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileError } from '../../src/errors.ts';
import { makeSshKey } from '../../src/launch/ssh-key.ts';
import { sshKeyTypes } from '../../src/settings/defaults.ts';
import { temporaryDirectory } from '../guests.ts';

for (const type of sshKeyTypes) {
  test(`ssh-keygen(1) takes a key of type ${type}, signs with it and believes the signature`, async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, 'key');
    // Lengths of numbers with a leading zero or sign bit vary from key to key.
    for (let round = 0; round < (type === 'rsa' ? 1 : 8); round += 1) {
      const key = `${path}-${round}`;
      const made = await makeSshKey({ type, path: key }, 'vmspawn-web');
      const line = made.publicKey;
      assert.equal(statSync(key).mode & 0o777, 0o600);
      assert.equal(execFileSync('ssh-keygen', ['-y', '-f', key], { encoding: 'utf8' }), line);
      const message = join(directory.path, `message-${round}`);
      const signers = join(directory.path, `signers-${round}`);
      writeFileSync(message, 'hello');
      writeFileSync(signers, `root ${line}`);
      execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-f', key, '-n', 'test', message], { stdio: 'ignore' });
      const verify = ['-Y', 'verify', '-f', signers, '-I', 'root', '-n', 'test', '-s', `${message}.sig`];
      assert.match(
        execFileSync('ssh-keygen', verify, { input: 'hello', encoding: 'utf8' }),
        /Good "test" signature/,
      );
      made[Symbol.dispose]();
    }
  });
}

test('the private half lies in memory that nobody can change, and is gone with whoever made it', async () => {
  using directory = temporaryDirectory();
  chmodSync(directory.path, 0o755);
  const path = join(directory.path, 'key');
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  {
    using _key = await makeSshKey({ type: 'ed25519', path }, 'x');
    assert.ok(lstatSync(path).isSymbolicLink());
    assert.match(readFileSync(path, 'utf8'), /^-----BEGIN OPENSSH PRIVATE KEY-----/);
    assert.throws(() => writeFileSync(path, 'another'), { code: 'EPERM' });
    const words = ['--reuid=1234', '--regid=1234', '--clear-groups', 'cat', path];
    const { status, stdout, stderr } = spawnSync('setpriv', words, { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [1, ''], stderr);
    assert.match(stderr, /Permission denied/);
  }
  assert.ok(!existsSync(path));
  assert.equal(descriptors(), before);
});

test('for a user with capabilities, whose other processes may not look into this one, it is a file', async () => {
  using directory = temporaryDirectory();
  chmodSync(directory.path, 0o777);
  const path = join(directory.path, 'key');
  // The permitted capabilities stay root's: only the effective user changes.
  process.seteuid?.(1234);
  try {
    using _key = await makeSshKey({ type: 'ed25519', path }, 'x');
    assert.ok(lstatSync(path).isFile());
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
  } finally {
    process.seteuid?.(0);
  }
});

test('a key is never written over something', async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'key');
  writeFileSync(path, '');
  await assert.rejects(makeSshKey({ type: 'ed25519', path }, 'x'), FileError);
});
