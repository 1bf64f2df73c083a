import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeUnitName, machineUnitName } from '../../src/plan/units.ts';

test('names are escaped as systemd-escape does it', () => {
  // systemd-escape NAME of systemd 257.
  for (const [name, escaped] of [
    ['debian', 'debian'],
    ['a-b', 'a\\x2db'],
    ['web.example.org', 'web.example.org'],
    ['.hidden', '\\x2ehidden'],
    ['a_b:c', 'a_b:c'],
    ['-', '\\x2d'],
    ['a b@c', 'a\\x20b\\x40c'],
    ['a/b', 'a-b'],
    ['a\\b', 'a\\x5cb'],
    ['é', '\\xc3\\xa9'],
  ] as const) {
    assert.equal(escapeUnitName(name), escaped);
  }
  assert.equal(machineUnitName('a-b', '-guard.service'), 'machine-a\\x2db-guard.service');
});

test('two names never become one, and no name ends the name of the unit', () => {
  const name = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(name, name, (one, other) => {
      assert.match(escapeUnitName(one), /^[A-Za-z0-9:_.\\-]+$/);
      if (one !== other && Buffer.from(one).compare(Buffer.from(other)) !== 0) {
        assert.notEqual(escapeUnitName(one), escapeUnitName(other));
      }
    }),
  );
});
