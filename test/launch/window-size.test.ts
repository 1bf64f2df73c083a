import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WindowSizePort } from '../../src/launch/window-size.ts';

test('the guest hears the latest size only', async () => {
  const [ours, guest] = duplexPair();
  using port = new WindowSizePort(ours);
  for (let rows = 1; rows <= 500; rows += 1) port.tell({ rows, columns: 80 });
  let heard = '';
  guest.setEncoding('latin1').on('data', (text: string) => {
    heard += text;
  });
  while (heard === '') await sleep(5);
  assert.equal(heard, '500 80\n');
  port.tell({ rows: 24, columns: 132 });
  while (heard === '500 80\n') await sleep(5);
  assert.equal(heard, '500 80\n24 132\n');
});

test('a guest that does not listen costs nothing, and a port that fails is silent', async () => {
  const [ours] = duplexPair();
  using port = new WindowSizePort(ours);
  for (let round = 0; round < 10; round += 1) {
    port.tell({ rows: round, columns: round });
    await sleep(60);
  }
  assert.ok(ours.writableLength < 20, `${ours.writableLength}`);
  ours.destroy(new Error('reset'));
  port.tell({ rows: 1, columns: 1 });
  await sleep(60);
});
