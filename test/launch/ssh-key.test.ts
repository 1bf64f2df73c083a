import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
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
      const line = await makeSshKey({ type, path: key }, 'vmspawn-web');
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
    }
  });
}

test('a key is never written over something', async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'key');
  writeFileSync(path, '');
  await assert.rejects(makeSshKey({ type: 'ed25519', path }, 'x'), FileError);
});
