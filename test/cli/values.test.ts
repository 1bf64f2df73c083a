import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { absolutePath, parseMachineName, refuse, shortened } from '../../src/cli/values.ts';
import { describeError, UsageError } from '../../src/errors.ts';

const place = { label: 'Image=', cwd: '/work' };

test('paths become absolute once, and stay what they were otherwise', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }).filter((text) => !text.includes('\0')),
      (text) => {
        const path = absolutePath(text, place);
        assert.ok(path.startsWith('/'));
        assert.ok(!/\/\/|\/\.\/|\/\.$/.test(path));
        assert.equal(absolutePath(path, place), path);
        assert.equal(
          path.split('/').filter((part) => part === '..').length,
          text.split('/').filter((part) => part === '..').length,
        );
      },
    ),
  );
});

test('a machine name that passes can be a directory, a unit and a host', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'aZ09-._/ \n') }), (text) => {
      try {
        assert.match(parseMachineName(text, place), /^(?!.*(^|\.)(-|\.|$))(?!.*-(\.|$))[A-Za-z0-9.-]{1,64}$/);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
      }
    }),
  );
});

test('a message names the key of a settings file as well', () => {
  assert.equal(refuse({ ...place, label: 'Ram=' }, '0', 'is zero').message, 'Ram=0 is zero.');
});

test('a value that is a terminal sequence is shown as text, a long one is cut', () => {
  assert.equal(
    describeError(refuse(place, '\u001b[2J', 'is bad', 'Try x.')),
    'Image=\\x1b[2J is bad. Try x.',
  );
  assert.equal(shortened('x'.repeat(101)).length, 100);
});
