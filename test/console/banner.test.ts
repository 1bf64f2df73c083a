import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBanner } from '../../src/console/banner.ts';

const facts = {
  machine: 'debian',
  source: '/srv/debian.raw',
  mode: 'interactive',
  quiet: false,
  colour: false,
  keys: true,
  detachable: true,
} as const;

test('what starts, and how to get out, by mode', () => {
  assert.equal(
    startBanner(facts),
    'Starting machine debian from /srv/debian.raw.\nPress Ctrl-] three times within 1s to end the machine.\n' +
      'Ctrl-] Ctrl-], then r reboots it, p powers it off, d leaves it running.\n',
  );
  assert.match(startBanner({ ...facts, detachable: false }), /reboots it, p powers it off\.\n$/);
  assert.equal(startBanner({ ...facts, keys: false }), 'Starting machine debian from /srv/debian.raw.\n');
  assert.match(startBanner({ ...facts, mode: 'native' }), /\nPress Ctrl-a x to end QEMU, Ctrl-a c /);
  assert.equal(startBanner({ ...facts, mode: 'read-only', source: null }), 'Starting machine debian.\n');
  assert.equal(startBanner({ ...facts, mode: 'headless', source: null }), 'Starting machine debian.\n');
});

test('nothing with --quiet and with a window', () => {
  assert.equal(startBanner({ ...facts, quiet: true }), '');
  assert.equal(startBanner({ ...facts, mode: 'gui' }), '');
});

test('lines are dim in colour, and names cannot bring escape sequences', () => {
  assert.equal(
    startBanner({ ...facts, mode: 'headless', source: '/a\x1b]0;x\x07', colour: true }),
    '\x1b[2mStarting machine debian from /a\\x1b]0;x\\x07.\x1b[0m\n',
  );
});
