import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareVersions } from '../../src/image/version-order.ts';

/** Rising, from the Version Format Specification and from kernels of Debian. */
const rising = [
  '~',
  '',
  '6.1~rc1',
  '6.1',
  '6.1-1',
  '6.1^post1',
  '6.1.9',
  '6.1.10',
  '6.12.107+deb13-cloud-amd64',
  '6.12.108+deb13-cloud-amd64',
  '122.1',
  '123~rc1-1',
  '123',
  '123-a',
  '123-a.1',
  '123-1',
  '123-1.1',
  '123^post1',
  '123.a-1',
  '123.1-1',
  '123a-1',
  '124-1',
];

test('versions in the order of the specification', () => {
  for (const [i, a] of rising.entries()) {
    for (const [j, b] of rising.entries()) {
      assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} and ${b}`);
    }
  }
});

test('leading zeroes and foreign characters mean nothing', () => {
  assert.equal(compareVersions('1.02', '1.2'), 0);
  assert.equal(compareVersions('1_2', '1+2'), 0);
  assert.ok(compareVersions('9'.repeat(400), `1${'0'.repeat(400)}`) < 0);
});

const version = fc.string({
  unit: fc.constantFrom('0', '1', '9', 'a', 'Z', '.', '-', '~', '^', '+'),
  maxLength: 6,
});

test('it is an order: antisymmetric and transitive', () => {
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      assert.equal(Math.sign(compareVersions(a, b)), -Math.sign(compareVersions(b, a)) + 0);
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) assert.ok(compareVersions(a, c) <= 0);
    }),
    { numRuns: 3000 },
  );
});
