import assert from 'node:assert/strict';
import { closeSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { ConsoleOutput } from '../../src/console/output.ts';
import { pipe } from '../../src/sys/descriptors.ts';
import { pattern } from './pattern.ts';

const events = { onDrain: () => {}, onFailure: () => assert.fail('no failure') };

test('what waits goes out in order, or is dropped whole', () => {
  const [readEnd, writeEnd] = pipe();
  using output = new ConsoleOutput(writeEnd, events);
  const text = pattern(0, 300_000);
  output.write(text);
  output.write(Buffer.from('SECOND'));
  const buffer = Buffer.alloc(400_000);
  // Nobody reads meanwhile: it is given up.
  assert.equal(output.flushNow(1), false);
  let length = readSync(readEnd, buffer);
  assert.equal(output.flushNow(1), false);
  assert.ok(output.written > length);
  const { written } = output;
  const { bytes, sent } = output.drop();
  assert.equal(sent, written);
  assert.ok(bytes.equals(Buffer.concat([text, Buffer.from('SECOND')])));
  assert.ok(output.idle);
  assert.equal(output.flushNow(0), true);
  while (length < written) length += readSync(readEnd, buffer, length, buffer.length - length, null);
  output.write(Buffer.from('LAST'));
  assert.equal(output.flushNow(0), true);
  length += readSync(readEnd, buffer, length, buffer.length - length, null);
  const all = buffer.subarray(0, length);
  assert.ok(all.equals(Buffer.concat([text.subarray(0, written), Buffer.from('LAST')])));
  closeSync(readEnd);
  closeSync(writeEnd);
});
