import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepWatchdog, watchdogTime } from '../../src/cli/watchdog.ts';

test('the time is in microseconds, for the process that is named', () => {
  assert.equal(watchdogTime({ WATCHDOG_USEC: '180000000', WATCHDOG_PID: '7' }, 7), 180_000);
  assert.equal(watchdogTime({ WATCHDOG_USEC: '500' }, 7), 0.5);
  for (const environment of [
    {},
    { WATCHDOG_PID: '7' },
    { WATCHDOG_USEC: '1000', WATCHDOG_PID: '8' },
    { WATCHDOG_USEC: '1000', WATCHDOG_PID: ' 7' },
    ...['', '0', '-1', '1e6', '1000 ', '0x10', '010', '99999999999999999999'].map((WATCHDOG_USEC) => ({
      WATCHDOG_USEC,
    })),
  ]) {
    assert.equal(watchdogTime(environment, 7), null, JSON.stringify(environment));
  }
});

test('asks every third, pings only after an answer, and asks nothing while an answer is due', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const asked: number[] = [];
  let pings = 0;
  let answer: (answered: boolean) => void = () => {};
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  const watchdog = keepWatchdog({
    time: 3000,
    alive: (timeout) => {
      asked.push(timeout);
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
    ping: () => {
      pings += 1;
    },
  });
  assert.deepEqual([pings, asked], [1, []], 'once at the start');
  context.mock.timers.tick(999);
  assert.deepEqual(asked, []);
  context.mock.timers.tick(1);
  assert.deepEqual(asked, [1000]);
  assert.equal(pings, 1, 'not before the answer');
  answer(true);
  await settled();
  assert.equal(pings, 2);

  context.mock.timers.tick(1000);
  context.mock.timers.tick(1000);
  assert.equal(asked.length, 2, 'one question at a time');
  answer(false);
  await settled();
  assert.equal(pings, 2, 'no answer, no ping');

  context.mock.timers.tick(1000);
  watchdog[Symbol.dispose]();
  answer(true);
  await settled();
  assert.equal(pings, 2, 'not after the end');
  context.mock.timers.tick(10_000);
  assert.equal(asked.length, 3);
});

test('a time that is no time for a timer neither floods nor fails', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  for (const time of [0.001, 1e15]) {
    let asked = 0;
    using _watchdog = keepWatchdog({
      time,
      alive: async () => {
        asked += 1;
        return true;
      },
      ping: () => {},
    });
    context.mock.timers.tick(5);
    assert.ok(asked <= 5);
  }
});
