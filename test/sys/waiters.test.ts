import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { Waiters } from '../../src/sys/waiters.ts';

const late = () => new Error('late');

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

test('a promise ends with what comes first, and leaves neither timer nor listener behind', async () => {
  const before = timers();
  const waiters = new Waiters();
  const controller = new AbortController();
  const { signal } = controller;
  const options = { signal, timeout: 60_000 };
  assert.equal(await waiters.wait<number>((resolve) => resolve(1), options, late), 1);
  await assert.rejects(
    waiters.wait((_resolve, reject) => reject(new Error('refused')), options, late),
    /refused/,
  );
  const thrown = () => {
    throw new Error('thrown');
  };
  await assert.rejects(waiters.wait(thrown, options, late), /thrown/);
  await assert.rejects(
    waiters.wait(() => {}, { signal, timeout: 1 }, late),
    /late/,
  );
  const lost = [1, 2].map(() =>
    assert.rejects(
      waiters.wait(() => {}, options, late),
      /lost/,
    ),
  );
  waiters.fail(new Error('lost'));
  await Promise.all(lost);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  const aborted = assert.rejects(
    waiters.wait(() => {}, { signal, timeout: Infinity }, late),
    /aborted/,
  );
  controller.abort(new Error('aborted'));
  await aborted;
  await assert.rejects(
    waiters.wait(() => assert.fail('started'), options, late),
    /aborted/,
  );
  assert.equal(timers(), before);
});
