import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QemuError } from '../../src/errors.ts';
import { GuestWord } from '../../src/launch/guest-word.ts';

function make(guest: boolean, patience: number | null = null, reminder?: number) {
  const notices: string[] = [];
  const statuses: string[] = [];
  const word = new GuestWord({
    readiness: { guest, patience, vsock: null, ...(reminder === undefined ? {} : { reminder }) },
    notice: ({ text, event }) => notices.push(event === undefined ? text : `${event}: ${text}`),
    status: (text) => statuses.push(text),
  });
  let ready = false;
  word.ready.then(
    () => {
      ready = true;
    },
    () => {},
  );
  /** After what is due has been done. */
  const isReady = async () => {
    await Promise.resolve();
    return ready;
  };
  return { word, notices, statuses, isReady };
}

test('without waiting for the guest a machine is ready as soon as it runs', async () => {
  const { word, isReady } = make(false);
  using _word = word;
  assert.equal(await isReady(), false);
  word.started();
  assert.equal(await isReady(), true);
});

test('otherwise when the guest says so, however often', async () => {
  const { word, isReady } = make(true);
  using _word = word;
  word.started();
  assert.equal(await isReady(), false);
  for (let count = 0; count < 1_000_000; count += 1) word.receive({ kind: 'ready' });
  assert.equal(await isReady(), true);
});

test('a guest that says nothing counts as ready after its time, which is said once', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { word, notices, isReady } = make(true, 90_000);
  using _word = word;
  word.started();
  context.mock.timers.tick(89_999);
  assert.equal(await isReady(), false);
  context.mock.timers.tick(1);
  assert.equal(await isReady(), true);
  context.mock.timers.tick(900_000);
  assert.equal(notices.length, 1);
  assert.match(notices[0] ?? '', /has not said within 90 s/);
});

test('a guest that must say it is waited for, which is said once and after the same time', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { word, notices, isReady } = make(true, null, 300_000);
  using _word = word;
  word.started();
  context.mock.timers.tick(299_999);
  assert.deepEqual(notices, []);
  context.mock.timers.tick(1);
  context.mock.timers.tick(9_000_000);
  assert.equal(await isReady(), false);
  assert.equal(notices.length, 1);
  assert.match(
    notices[0] ?? '',
    /^not-ready: The guest has not said within 300 s that it is ready; it is waited for \(systemd .* 256 on, by a vsock device from 254 on; without --notify-ready=yes nobody waits for ever\)\.$/,
  );
  word.receive({ kind: 'ready' });
  assert.equal(await isReady(), true);
});

test('a guest that has spoken in time is not complained of', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { word, notices } = make(true, 90_000);
  using _word = word;
  word.receive({ kind: 'ready' });
  word.started();
  context.mock.timers.tick(900_000);
  assert.deepEqual(notices, []);
  const late = make(true, null, 90_000);
  using _late = late.word;
  late.word.started();
  late.word.receive({ kind: 'ready' });
  context.mock.timers.tick(900_000);
  assert.deepEqual(late.notices, []);
});

test('a machine that ends before it was ready says so to whoever waits', async () => {
  const { word } = make(true, 90_000);
  word.started();
  word[Symbol.dispose]();
  await assert.rejects(word.ready, QemuError);
});

test('of many statuses the first comes at once and the last a second later', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { word, statuses } = make(true);
  using _word = word;
  for (let count = 0; count < 10_000; count += 1) word.receive({ kind: 'status', text: String(count) });
  assert.deepEqual(statuses, ['0']);
  context.mock.timers.tick(1_000);
  assert.deepEqual(statuses, ['0', '9999']);
  context.mock.timers.tick(10_000);
  word.receive({ kind: 'status', text: 'a' });
  assert.deepEqual(statuses, ['0', '9999', 'a']);
});

test('the last exit status counts, and none after a reboot', () => {
  const { word } = make(true);
  using _word = word;
  assert.equal(word.exitStatus, null);
  word.receive({ kind: 'exit-status', status: 3 });
  word.receive({ kind: 'exit-status', status: 4 });
  assert.equal(word.exitStatus, 4);
  word.reset();
  assert.equal(word.exitStatus, null);
});
