import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeError, HostError, printable, UsageError } from '../src/errors.ts';

test('control characters of a message are shown, not sent to the terminal', () => {
  const error = new UsageError('Image \u001b]0;x\u0007 is bad');
  assert.equal(describeError(error), 'Image \\x1b]0;x\\x07 is bad.');
  assert.equal(printable('a\nb'), 'a\\x0ab');
  assert.equal(printable('a\nb', { multiline: true }), 'a\nb');
});

test('the cause chain is printed once, then the hint', () => {
  const error = new HostError('Cannot start QEMU', { cause: new Error('spawn ENOENT'), hint: 'Install it.' });
  assert.equal(describeError(error), 'Cannot start QEMU: spawn ENOENT. Install it.');
});
