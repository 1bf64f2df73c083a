import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareTpmState } from '../../src/auxiliary/tpm-state.ts';
import { AuxiliaryError, FileError, InterruptedError } from '../../src/errors.ts';
import type { PlannedTpmState } from '../../src/plan/plan.ts';
import { temporaryDirectory } from '../guests.ts';
import { processesIn, until } from '../system/harness.ts';

const never = new AbortController().signal;

function persistent(directory: string, setup: string | null = '/usr/bin/swtpm_setup'): PlannedTpmState {
  return { directory, persistent: true, setup, required: true };
}

function script(directory: string, text: string): string {
  const path = join(directory, 'setup');
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

test('the real swtpm_setup makes state once; a second start takes it as it is', {
  timeout: 60_000,
}, async () => {
  using scratch = temporaryDirectory();
  const directory = join(scratch.path, 'disk.raw.tpmstate');
  await prepareTpmState(persistent(directory), never);
  assert.deepEqual(readdirSync(scratch.path), ['disk.raw.tpmstate']);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const made = statSync(join(directory, 'tpm2-00.permall'));
  await prepareTpmState(persistent(directory, '/bin/false'), never);
  assert.equal(statSync(join(directory, 'tpm2-00.permall')).mtimeMs, made.mtimeMs);
});

test('a directory that the user has made gets the state; a neighbour with a similar name is left alone', {
  timeout: 60_000,
}, async () => {
  using scratch = temporaryDirectory();
  const directory = join(scratch.path, 'tpm');
  mkdirSync(directory);
  mkdirSync(join(scratch.path, 'tpm.new'));
  await prepareTpmState(persistent(directory), never);
  assert.ok(existsSync(join(directory, 'tpm2-00.permall')));
  assert.deepEqual(readdirSync(scratch.path).sort(), ['tpm', 'tpm.new']);
});

test('a setup that fails is quoted and leaves nothing', async () => {
  using scratch = temporaryDirectory();
  const setup = script(scratch.path, 'echo the reason is this >&2; exit 3');
  await assert.rejects(
    prepareTpmState(persistent(join(scratch.path, 'tpm'), setup), never),
    (error: unknown) => {
      assert.ok(error instanceof AuxiliaryError && error.required);
      assert.match(error.message, /the reason is this/);
      return true;
    },
  );
  assert.deepEqual(readdirSync(scratch.path), ['setup']);
});

test('a start that is given up ends the setup and all that it started', { timeout: 60_000 }, async () => {
  using scratch = temporaryDirectory();
  const setup = script(scratch.path, 'cd "$3"; sleep 1000 & touch started; wait');
  const controller = new AbortController();
  const directory = join(scratch.path, 'tpm');
  const made = prepareTpmState(persistent(directory, setup), controller.signal);
  await until(() => existsSync(`${directory}.vmspawn-unfinished/started`));
  controller.abort(new Error('SIGTERM'));
  await assert.rejects(made, InterruptedError);
  await until(() => processesIn(scratch.path).length === 0);
  assert.deepEqual(readdirSync(scratch.path), ['setup']);
});

test('a link and a file in the place of state are refused', async () => {
  using scratch = temporaryDirectory();
  mkdirSync(join(scratch.path, 'target'));
  for (const [name, make] of [
    ['link', (path: string) => symlinkSync(join(scratch.path, 'target'), path)],
    ['file', (path: string) => writeFileSync(path, '')],
  ] as const) {
    const path = join(scratch.path, name);
    make(path);
    await assert.rejects(prepareTpmState(persistent(path), never), FileError);
  }
});

test('state that others can write to, or in a place of that kind, is refused and not touched', async () => {
  using scratch = temporaryDirectory();
  const refused = (path: string, message: RegExp) =>
    assert.rejects(prepareTpmState(persistent(path), never), (error) => {
      assert.ok(error instanceof FileError);
      assert.match(error.message, message);
      return true;
    });
  const open = join(scratch.path, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  await refused(join(open, 'tpm'), /lies in .*open, which everybody may write to/);
  assert.deepEqual(readdirSync(open), []);
  const loose = join(scratch.path, 'loose');
  mkdirSync(loose);
  chmodSync(loose, 0o770);
  await refused(loose, /can be written to by other users/);
  const foreign = join(scratch.path, 'foreign');
  mkdirSync(foreign);
  chownSync(foreign, 65534, 65534);
  await refused(foreign, /belongs to the user 65534/);
  assert.deepEqual([...readdirSync(loose), ...readdirSync(foreign)], []);
});

test('transient state is an empty directory', async () => {
  using scratch = temporaryDirectory();
  const directory = join(scratch.path, 'tpm');
  await prepareTpmState({ directory, persistent: false, setup: null, required: false }, never);
  assert.deepEqual(readdirSync(directory), []);
});
