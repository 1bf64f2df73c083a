import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { dataFrames, endFrame } from '../../src/control/console-frames.ts';
import { AttachedConsole } from '../../src/session/attached-console.ts';

test('a connection that breaks without a word of the end is none of the machine', async () => {
  const [ours, theirs] = duplexPair();
  await using console = new AttachedConsole(ours);
  console.resume();
  theirs.write(Buffer.concat([...dataFrames('output', Buffer.from('x'))]));
  theirs.end();
  assert.equal(await console.ended, null);
  console.write('into the void');
});

test('garbage from the other side is a broken connection', async () => {
  const [ours, theirs] = duplexPair();
  await using console = new AttachedConsole(ours);
  console.resume();
  theirs.write('garbage');
  assert.equal(await console.ended, null);
});

test('what is not read yet when the machine ends stays readable', async () => {
  const [ours, theirs] = duplexPair();
  await using console = new AttachedConsole(ours);
  theirs.write(
    Buffer.concat([...dataFrames('output', Buffer.from('last words')), endFrame({ status: 0, text: '' })]),
  );
  console.read(0);
  assert.deepEqual(await console.ended, { status: 0, text: '' });
  const end = once(console, 'end');
  assert.equal(console.read()?.toString(), 'last words');
  console.resume();
  await end;
});
