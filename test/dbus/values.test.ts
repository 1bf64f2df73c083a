import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBody, encodeBody, MalformedError } from '../../src/dbus/values.ts';

const little = 'l'.charCodeAt(0);
const big = 'B'.charCodeAt(0);
const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));

/** Values with their type, as they come back. */
const value: fc.Arbitrary<{ type: string; value: unknown }> = fc.oneof(
  text.map((one) => ({ type: 's', value: one })),
  fc.boolean().map((one) => ({ type: 'b', value: one })),
  fc.nat(255).map((one) => ({ type: 'y', value: one })),
  fc.nat(2 ** 32 - 1).map((one) => ({ type: 'u', value: one })),
  fc.integer().map((one) => ({ type: 'i', value: one })),
  fc.bigInt(0n, 2n ** 64n - 1n).map((one) => ({ type: 't', value: one })),
  fc.bigInt(-(2n ** 63n) + 1n, 2n ** 63n - 1n).map((one) => ({ type: 'x', value: one })),
  fc.array(text).map((one) => ({ type: 'as', value: one })),
  fc.array(fc.nat(2 ** 32 - 1)).map((one) => ({ type: 'au', value: one })),
  fc.array(fc.tuple(text, text)).map((one) => ({ type: 'a(ss)', value: one })),
  fc.array(fc.tuple(text, fc.array(text), fc.boolean())).map((one) => ({ type: 'a(sasb)', value: one })),
  fc.dictionary(text, fc.nat(100)).map((one) => ({ type: 'a{su}', value: { ...one } })),
  fc.uint8Array().map((one) => ({ type: 'ay', value: Buffer.from(one) })),
);

test('what is written is read again, in variants and without', () => {
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const signature = values.map(({ type }) => type).join('');
      const plain = values.map((one) => one.value);
      assert.deepEqual(decodeBody(signature, encodeBody(signature, plain), little), plain);
      const variants = values.map((one) => [String(one.type), { signature: one.type, value: one.value }]);
      assert.deepEqual(decodeBody('a(sv)', encodeBody('a(sv)', [variants]), little), [
        values.map((one) => [one.type, one.value]),
      ]);
    }),
  );
});

test('64-bit numbers of a big-endian peer', () => {
  assert.deepEqual(decodeBody('tx', Buffer.from('0000000100000002ffffffffffffffff', 'hex'), big), [
    0x1_0000_0002n,
    -1n,
  ]);
});

test('a dictionary with the key __proto__ is one like any other', () => {
  const body = encodeBody('a{sv}', [[['__proto__', { signature: 's', value: 'x' }]]]);
  const [read] = decodeBody('a{sv}', body, little);
  assert.deepEqual(Object.entries(read as object), [['__proto__', 'x']]);
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
});

test('values that do not fit are refused before they are sent', () => {
  for (const [signature, body] of [
    ['s', [1]],
    ['u', [-1]],
    ['u', ['1']],
    ['b', ['yes']],
    ['t', [2n ** 64n]],
    ['s', ['a\0b']],
    ['as', ['x']],
    ['(ss)', [['a']]],
    ['v', ['x']],
    ['v', [{ signature: 'ss', value: 'x' }]],
    ['ss', ['x']],
    ['s', [undefined]],
    ['!', ['x']],
  ] as const) {
    assert.throws(() => encodeBody(signature, body), TypeError, `${signature} ${String(body)}`);
  }
});

test('bytes that are no values are malformed and nothing else, whatever they are', () => {
  const types = [
    's',
    'ay',
    'as',
    'v',
    'av',
    'a(ss)',
    'a{sv}',
    'a()',
    'u',
    't',
    'g',
    'aav',
    'h',
    'y',
    '()',
    'a{',
    '',
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.uint8Array({ maxLength: 100 }),
      fc.boolean(),
      (type, bytes, order) => {
        try {
          assert.ok(decodeBody(type, Buffer.from(bytes), order ? little : big).length <= 1);
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('arrays without end and values nested for ever', () => {
  assert.throws(() => decodeBody('a()', Buffer.from('0800000000000000', 'hex'), little), MalformedError);
  const nested = Buffer.concat(Array.from({ length: 5000 }, () => Buffer.from('017600', 'hex')));
  assert.throws(() => decodeBody('v', nested, little), /nested more than 64/);
  assert.throws(() => decodeBody('as', Buffer.from('ffffffff', 'hex'), little), /beyond its message/);
  assert.throws(() => decodeBody('u', Buffer.from('0100000000', 'hex'), little), /longer than its values/);
});
