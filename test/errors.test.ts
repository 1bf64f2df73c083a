import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeError, HostError, printable, UsageError } from '../src/errors.ts';

test('control characters of a message are shown, not sent to the terminal', () => {
  const error = new UsageError('Image \u001b]0;x\u0007 is bad');
  assert.equal(describeError(error), 'Image \\x1b]0;x\\x07 is bad.');
  assert.equal(printable('a\nb'), 'a\\x0ab');
  assert.equal(printable('a\nb', { multiline: true }), 'a\nb');
});

test('a message is one line, whatever a value in it, its cause and its hint hold', () => {
  const cause = new Error("open '/a\nb'");
  const error = new UsageError('--bind=/a\nb cannot be used', { cause, hint: 'See ./a\tb.' });
  assert.equal(describeError(error), "--bind=/a\\x0ab cannot be used: open '/a\\x0ab'. See ./a\\x09b.");
});

test('the cause chain is printed once, then the hint', () => {
  const error = new HostError('Cannot start QEMU', { cause: new Error('spawn ENOENT'), hint: 'Install it.' });
  assert.equal(describeError(error), 'Cannot start QEMU: spawn ENOENT. Install it.');
});
