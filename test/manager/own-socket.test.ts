import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownSocket } from '../../src/manager/own-socket.ts';
import { listenUnix } from '../../src/sys/unix-listener.ts';
import { temporaryDirectory } from '../guests.ts';

const never = new AbortController().signal;
const running = new Promise<string>(() => {});
const words = async () => 'out of order';

test('a daemon that makes its socket late is waited for; a file in its place is none', async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'socket');
  const file = join(directory.path, 'file');
  writeFileSync(file, '');
  let there = false;
  const waiting = ownSocket(path, running, words, never).then(() => {
    there = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(there, false);
  using _listener = listenUnix(path);
  await waiting;
  const stop = new AbortController();
  const late = ownSocket(file, running, words, stop.signal);
  stop.abort(new Error('given up'));
  await assert.rejects(late, { name: 'AbortError' });
});

test('a daemon that ends before it has one is told with its last words', async () => {
  const ended = Promise.resolve('exit status 3');
  await assert.rejects(
    ownSocket('/nonexistent/socket', ended, words, never),
    /it ended with exit status 3: out of order/,
  );
});

test('a daemon that never makes one is not waited for for ever', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  context.mock.method(performance, 'now', () => {
    now += 20_000;
    return now;
  });
  const late = ownSocket('/nonexistent/socket', running, words, never);
  context.mock.timers.tick(10);
  await assert.rejects(late, /has not made its socket .* within 30 s/);
});
