import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { pipe } from '../../src/sys/descriptors.ts';
import { isReady, watchShared } from '../../src/sys/readiness.ts';
import { getStatusFlags, setStatusFlags } from '../../src/sys/status-flags.ts';

test('a pipe is watched without a change of its flags, and only between start and stop', async () => {
  const [readEnd, writeEnd] = pipe();
  const flags = getStatusFlags(readEnd);
  let calls = 0;
  let seen: () => void = () => {};
  const readiness = watchShared(readEnd, 'readable', () => {
    calls += 1;
    readiness.stop();
    seen();
  });
  const next = () =>
    new Promise<void>((resolve) => {
      seen = resolve;
    });
  writeSync(writeEnd, 'a');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(calls, 0);
  for (const round of [1, 2]) {
    const called = next();
    readiness.start();
    readiness.start();
    await called;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(calls, round, 'stopped from within');
  }
  readSync(readEnd, Buffer.alloc(1));
  const end = next();
  readiness.start();
  closeSync(writeEnd);
  await end;
  assert.equal(getStatusFlags(readEnd), flags);
  readiness[Symbol.dispose]();
  readiness[Symbol.dispose]();
  readiness.start();
  closeSync(readEnd);
});

test('what epoll does not know is refused and leaves no descriptor behind', () => {
  const file = openSync(__filename, 'r');
  const lowest = () => {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  };
  const before = lowest();
  assert.throws(() => watchShared(file, 'readable', () => {}), { code: 'EPERM' });
  assert.equal(lowest(), before);
  closeSync(file);
});

test('isReady and the flags tell what is so', () => {
  const [readEnd, writeEnd] = pipe();
  assert.equal(isReady(readEnd, 'readable'), false);
  assert.equal(isReady(writeEnd, 'writable'), true);
  setStatusFlags(writeEnd, getStatusFlags(writeEnd) | constants.O_NONBLOCK);
  assert.match(readFileSync(`/proc/self/fdinfo/${writeEnd}`, 'latin1'), /flags:\s*0*2?004001\n/);
  assert.throws(() => {
    for (;;) writeSync(writeEnd, Buffer.alloc(65_536));
  }, /EAGAIN/);
  assert.equal(isReady(writeEnd, 'writable'), false);
  assert.equal(isReady(readEnd, 'readable'), true);
  closeSync(readEnd);
  assert.equal(isReady(writeEnd, 'writable'), true, 'an error is for the next call to tell');
  closeSync(writeEnd);
});
