import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BackgroundAnswer, isBackground, parseColour, tintFor } from '../../src/console/background.ts';
import { cutUp } from './chunks.ts';

const attributes = '\x1b[?62;22c';

/** What is typed, and the background, when the terminal sends this. */
function answer(chunks: readonly (Buffer | string)[]) {
  const answers = new BackgroundAnswer();
  const typed = chunks.map((chunk) => answers.push(Buffer.from(chunk)).toString('latin1'));
  return {
    typed: typed.join('') + answers.flush().toString('latin1'),
    colour: answers.colour,
    complete: answers.complete,
  };
}

test('the answers are taken out of what is typed', () => {
  const black = { colour: [0, 0, 0], complete: true };
  assert.deepEqual(answer([`\x1b]11;rgb:0000/0000/0000\x1b\\${attributes}`]), { typed: '', ...black });
  assert.deepEqual(answer([`a\x1b]11;rgb:0/0/0\x07b${attributes}c`]), { typed: 'abc', ...black });
  assert.deepEqual(answer([`${attributes}d`]), { typed: 'd', colour: null, complete: true });
  assert.deepEqual(answer([`${attributes}\x1b]11;rgb:0/0/0\x07`]).complete, true);
  assert.deepEqual(answer(['ls\r\x1b[A\x1bOP']), {
    typed: 'ls\r\x1b[A\x1bOP',
    colour: null,
    complete: false,
  });
});

test('keys that look like the beginning of an answer are not lost', () => {
  for (const typed of ['\x1b', '\x1b[', 'x\x1b']) assert.equal(answer([typed]).typed, typed);
  const answers = new BackgroundAnswer();
  assert.equal(answers.push(Buffer.from('\x1b')).length, 0);
  assert.equal(answers.push(Buffer.from('[A')).toString(), '\x1b[A');
  assert.equal(answer(['a\x1b]11;rgb:00']).typed, 'a', 'half an answer is nobody’s key');
});

test('it holds a bounded number of bytes', () => {
  const endless = `\x1b]11;${'x'.repeat(200)}`;
  assert.equal(answer([endless]).typed, endless);
});

test('chunk boundaries do not matter', () => {
  const key = fc.constantFrom('a', '\x1b[A', '\x1bx', 'ä', '\r', '\x1b[5~', ']11;', '?6c');
  const stream = fc.tuple(fc.array(key), fc.array(key), fc.array(key)).map(([before, between, after]) => {
    const typed = [...before, ...between, ...after].join('');
    return {
      typed,
      all: `${before.join('')}\x1b]11;rgb:ffff/8080/0000\x1b\\${between.join('')}${attributes}${after.join('')}`,
    };
  });
  fc.assert(
    fc.property(stream, fc.array(fc.nat(9)), ({ typed, all }, cuts) => {
      const found = answer(cutUp(Buffer.from(all), cuts));
      assert.equal(Buffer.from(found.typed, 'latin1').toString(), typed);
      assert.deepEqual(found.colour, [1, 0x8080 / 0xffff, 0]);
      assert.ok(found.complete);
    }),
  );
});

test('colours of one to four digits', () => {
  assert.deepEqual(parseColour('rgb:f/00/fff'), [1, 0, 1]);
  assert.deepEqual(parseColour('rgba:ffff/0000/ffff/8000'), [1, 0, 1]);
  for (const text of ['', 'rgb:', 'rgb:1/2', 'rgb:12345/0/0', 'rgb:g/0/0', 'red', 'rgb:1/2/3/4/5']) {
    assert.equal(parseColour(text), null, text);
  }
});

test('the tint is the background in green, seen on black as well', () => {
  assert.equal(tintFor([0, 0, 0]), '48;2;12;51;19');
  assert.equal(tintFor([1, 1, 1]), '48;2;191;255;201');
  assert.equal(tintFor([0.6, 0.2, 0.4]), '48;2;114;153;121');
});

test('every background gives a tint that --background= would take', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(share, share, share, (...colour) => {
      assert.equal(isBackground(tintFor(colour)), true);
    }),
  );
});

test('--background= takes what sets a background, and nothing else', () => {
  assert.equal(isBackground(''), false);
  for (const value of [
    '40',
    '47',
    '100',
    '107',
    '48;5;255',
    '48;2;0;128;255',
    '48:5:7',
    '48:2::1:2:3',
    '48:2:1:2:3',
  ]) {
    assert.equal(isBackground(value), true, value);
  }
  for (const value of [
    '99',
    '0',
    '49',
    '31',
    '44;1',
    '48;5;256',
    '48;2;1;2',
    '48;2;1;2;300',
    'red',
    '44m',
    '\x1b[44',
    ' 44',
  ]) {
    assert.equal(isBackground(value), false, value);
  }
});
