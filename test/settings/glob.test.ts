import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matchesGlob } from '../../src/settings/glob.ts';

test('globs as fnmatch has them', () => {
  const cases: [string, string, boolean][] = [
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['pc-q35-*', 'pc-q35-7.2', true],
    ['pc-q35-*', 'pc-i440fx-7.2', false],
    ['*q35*', 'q35', true],
    ['pc-q35-?.?', 'pc-q35-7.2', true],
    ['pc-q35-[6-8].2', 'pc-q35-7.2', true],
    ['pc-q35-[!6-8].2', 'pc-q35-7.2', false],
    ['[^a]', 'b', true],
    ['[]a]', ']', true],
    ['[a', '[a', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a\\', 'a\\', true],
    ['[a-]', '-', true],
  ];
  for (const [pattern, text, expected] of cases) {
    assert.equal(matchesGlob(pattern, text), expected, `${pattern} on ${text}`);
  }
});

test('stars and question marks match as a regular expression does', () => {
  const letters = (alphabet: string) => fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 8 });
  fc.assert(
    fc.property(letters('ab*?'), letters('ab'), (pattern, text) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      assert.equal(matchesGlob(pattern, text), expression.test(text));
    }),
    { numRuns: 2000 },
  );
});

test('a pattern made to take for ever does not', () => {
  assert.equal(matchesGlob('*a'.repeat(120), 'a'.repeat(100)), false);
  assert.equal(matchesGlob('*['.repeat(500_000), 'pc-q35-7.2'), false);
});
