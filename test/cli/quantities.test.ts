import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRam, parseTimeSpan } from '../../src/cli/quantities.ts';
import { UsageError } from '../../src/errors.ts';
import { bytesOf } from '../../src/settings/quantities.ts';

const place = { label: '--x=', cwd: '/' };

test('bytes are exact, whatever their size', () => {
  assert.equal(bytesOf('0'), 0n);
  assert.equal(bytesOf('1K'), 1024n);
  assert.equal(bytesOf('16E'), 16n * 1024n ** 6n);
  assert.equal(bytesOf('0.1K'), 102n);
  assert.equal(bytesOf('1.000000000000000001E'), 1024n ** 6n + 1n);
  for (const bad of ['', 'K', '1KK', '+1', '1 K', '0x1', '1.', '\u0661'])
    assert.equal(bytesOf(bad), null, bad);
});

test('a decimal part means what arithmetic says', () => {
  fc.assert(
    fc.property(
      fc.nat(10_000),
      fc.nat(999),
      fc.constantFrom('K', 'M', 'G', 'T'),
      (whole, thousandths, suffix) => {
        const unit = 1024n ** BigInt(['K', 'M', 'G', 'T'].indexOf(suffix) + 1);
        const written = `${whole}.${String(thousandths).padStart(3, '0')}${suffix}`;
        assert.equal(bytesOf(written), ((BigInt(whole) * 1000n + BigInt(thousandths)) * unit) / 1000n);
      },
    ),
  );
});

test('memory is rounded up to MiB and never down to nothing', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 45 }), (bytes) => {
      const { size } = parseRam(String(bytes), place);
      assert.ok(size >= bytes && size - bytes < 1024 ** 2 && size % 1024 ** 2 === 0);
    }),
  );
});

for (const [text, milliseconds] of [
  ['90', 90_000],
  ['90s', 90_000],
  ['90 sec', 90_000],
  ['1.5', 1500],
  ['1.5min', 90_000],
  ['1min 30s', 90_000],
  ['1min30s', 90_000],
  ['  2m ', 120_000],
  ['1h 1min 1s 1ms', 3_661_001],
  ['100ms', 100],
  ['1us', 1],
  ['1\u00b5s', 1],
  ['1500usec', 2],
  ['1d', 86_400_000],
  ['2 weeks', 1_209_600_000],
  ['30 30', 60_000],
  ['infinity', null],
] as const) {
  test(`time span ${JSON.stringify(text)}`, () => assert.equal(parseTimeSpan(text, place), milliseconds));
}

for (const bad of [
  '',
  ' ',
  's',
  '-1',
  '1x',
  '1 S',
  '1..5',
  '1,5',
  'forever',
  'infinity s',
  '1min,30s',
  '1e3',
  '25d',
  '1M',
  '1y',
]) {
  test(`no time span: ${JSON.stringify(bad)}`, () =>
    assert.throws(() => parseTimeSpan(bad, place), UsageError));
}

test('any text is a time that a timer can hold, for ever, or a UsageError', () => {
  const piece = fc.constantFrom(
    '1',
    '90',
    '.5',
    ' ',
    's',
    'min',
    'M',
    'infinity',
    '9'.repeat(30),
    '-',
    '\n',
    'us',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(piece).map((pieces) => pieces.join('')),
        fc.string(),
      ),
      (text) => {
        try {
          const result = parseTimeSpan(text, place);
          assert.ok(result === null || (Number.isInteger(result) && result >= 0 && result < 2 ** 31));
        } catch (error) {
          assert.ok(error instanceof UsageError, String(error));
        }
      },
    ),
  );
});
