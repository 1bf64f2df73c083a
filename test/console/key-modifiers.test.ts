import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestOutput } from '../../src/console/guest-output.ts';
import { allowedByDefault } from '../../src/console/terminal-reach.ts';

/** What is undone in the end of what a guest has done to the resources, and what comes back after a stop. */
function after(text: string): { undone: string; again: string } {
  const out = new GuestOutput({ tint: null, mode: 'interactive', allow: allowedByDefault });
  assert.equal(out.push(Buffer.from(text)).toString(), text);
  const resources = (all: string) => (all.match(/\x1b\[>[0-9;]*[mn]/g) ?? []).join('');
  return { undone: resources(out.end()), again: resources(out.again(24)) };
}

test('each resource that was touched goes back to the host', () => {
  assert.deepEqual(after('text\x1b[31m'), { undone: '', again: '' });
  assert.deepEqual(after('\x1b[>4;2m\x1b[>4;1m'), { undone: '\x1b[>4m', again: '\x1b[>4;1m' });
  assert.deepEqual(after('\x1b[>1n\x1b[>4;2m'), { undone: '\x1b[>1m\x1b[>4m', again: '\x1b[>1n\x1b[>4;2m' });
  assert.deepEqual(after('\x1b[>4;2m\x1b[>m'), { undone: '\x1b[>4m', again: '\x1b[>4m' });
});

test('to disable none is to disable that of the function keys', () => {
  assert.deepEqual(after('\x1b[>n'), { undone: '\x1b[>2m', again: '\x1b[>n' });
  assert.deepEqual(after('\x1b[>4;2m\x1b[>n'), { undone: '\x1b[>4m\x1b[>2m', again: '\x1b[>4;2m\x1b[>n' });
});
