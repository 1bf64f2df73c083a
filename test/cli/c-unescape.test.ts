import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cUnescape } from '../../src/cli/c-unescape.ts';

test('escapes of C and of systemd are bytes', () => {
  for (const [text, hex] of [
    ['', ''],
    ['a\u00e4', '61c3a4'],
    ['\\a\\b\\f\\n\\r\\t\\v\\\\\\"\\\'\\s', '07080c0a0d090b5c222720'],
    ['\\x00\\xff\\xAb1', '00ffab31'],
    ['\\000\\3777', '00ff37'],
    ['\\u20ac\\U0001f600', 'e282acf09f9880'],
    ['\\\\x41', '5c783431'],
    ['a\nb', '610a62'],
  ] as const) {
    assert.equal(Buffer.from(cUnescape(text) ?? 'null').toString('hex'), hex, text);
  }
});

test('what is no escape is refused', () => {
  for (const text of [
    '\\',
    'a\\',
    '\\q',
    '\\x1',
    '\\xg0',
    '\\12',
    '\\8',
    '\\400',
    '\\u12',
    '\\ud800',
    '\\U00110000',
  ]) {
    assert.equal(cUnescape(text), null, text);
  }
});

test('any bytes written as escapes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
      assert.deepEqual(Uint8Array.from(cUnescape(text) ?? []), bytes);
    }),
  );
});
