import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { backgroundSettings } from '../../src/cli/background.ts';
import { Front, obstacleToLeaving } from '../../src/cli/front.ts';
import { UsageError } from '../../src/errors.ts';
import { defaultSettings } from '../../src/settings/defaults.ts';
import { socketpair } from '../../src/sys/socketpair.ts';
import { temporaryDirectory } from '../guests.ts';

test('--detach has a console that nobody is attached to, or says what contradicts it', () => {
  assert.equal(backgroundSettings(defaultSettings()).console, 'headless');
  assert.equal(backgroundSettings({ ...defaultSettings(), console: 'headless' }).console, 'headless');
  for (const [wrong, words] of [
    [{ console: 'native' }, '--console=native'],
    [{ console: 'gui' }, '--console=gui'],
    [{ console: 'read-only' }, '--console=read-only'],
    [{ dryRun: 'json' }, '--dry-run'],
    [{ keepUnit: true }, '--keep-unit'],
  ] as const) {
    assert.throws(
      () => backgroundSettings({ ...defaultSettings(), ...wrong }),
      (error: unknown) => error instanceof UsageError && error.message.includes(words),
    );
  }
});

test('a front is a socket that the environment names, once, and in a terminal a file beside', () => {
  const [ours, theirs] = socketpair();
  const device = openSync('/dev/null', 'r');
  const file = openSync(__filename, 'r');
  try {
    const environment = { VMSPAWN_FRONT: `terminal:${theirs}:${file}` };
    assert.equal(Front.take(environment)?.kind, 'terminal');
    assert.deepEqual(environment, {});
    const fileless = Front.take({ VMSPAWN_FRONT: `terminal:${theirs}` });
    assert.equal(fileless?.kind, 'terminal');
    fileless?.prepareForDeath({ text: 'for nobody', answerTime: 200 });
    assert.equal(Front.take({ VMSPAWN_FRONT: `background:${theirs}` })?.kind, 'background');
    for (const value of [
      `terminal:${device}:${file}`,
      `terminal:${theirs}:${device}`,
      `terminal:${theirs}:999`,
      `background:${theirs}:${file}`,
      'background:999',
      'background:1',
      `other:${theirs}`,
      '',
      `${theirs}`,
    ]) {
      assert.equal(Front.take({ VMSPAWN_FRONT: value }), null, value);
    }
  } finally {
    for (const fd of [ours, theirs, device, file]) closeSync(fd);
  }
});

test('what a front is to do after a kill is always what was said last', () => {
  using directory = temporaryDirectory();
  const file = openSync(join(directory.path, 'undo'), 'w+');
  const [ours, theirs] = socketpair();
  const read = () => readFileSync(join(directory.path, 'undo'), 'latin1').split('\0')[0] ?? '';
  const front = Front.take({ VMSPAWN_FRONT: `terminal:${theirs}:${file}` });
  front?.prepareForDeath({ text: 'a long text', answerTime: 200 });
  assert.equal(read(), '200\na long text');
  front?.prepareForDeath({ text: 'short', answerTime: 5 });
  assert.equal(read(), '5\nshort');
  front?.prepareForDeath({ text: '', answerTime: 5 });
  assert.equal(read(), '5\n');
  front?.release();
  front?.prepareForDeath({ text: 'too late', answerTime: 5 });
  assert.equal(read(), '5\n');
  for (const fd of [ours, theirs]) closeSync(fd);
});

test('what keeps a machine from being left running', () => {
  const [ours, theirs] = socketpair();
  const front = Front.take({ VMSPAWN_FRONT: `background:${theirs}` });
  const circumstances = { keepUnit: false, environment: {}, terminals: true };
  assert.equal(obstacleToLeaving(front, circumstances), null);
  assert.match(obstacleToLeaving(front, { ...circumstances, keepUnit: true }) ?? '', /--keep-unit/);
  assert.match(obstacleToLeaving(null, circumstances) ?? '', /vmspawn-front/);
  assert.match(obstacleToLeaving(null, { ...circumstances, terminals: false }) ?? '', /no terminal/);
  const environment = { SYSTEMD_EXEC_PID: String(process.pid) };
  assert.match(obstacleToLeaving(null, { ...circumstances, environment }) ?? '', /process of a unit/);
  for (const fd of [ours, theirs]) closeSync(fd);
});
