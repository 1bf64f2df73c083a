import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { quoteWord, renderShell } from '../../src/qemu/shell.ts';

/** The words that bash makes of a script's text: each one is printed with a NUL behind it. */
function bashWords(script: string): string[] {
  const output = execFileSync('bash', ['-c', script], { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
  return output.split('\0').slice(0, -1);
}

const word = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(
        "'",
        '"',
        '\\',
        '$',
        '`',
        '!',
        '~',
        '#',
        '*',
        '{a,b}',
        ' ',
        '\n',
        '\t',
        '\r',
        '=',
        '&',
        ';',
        '\x1b',
      ),
      fc.constantFrom('\u202e', '\x9b', '\x7f', 'é', '\u{1f600}', '0', '7', 'a'),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
    ),
    maxLength: 12,
  })
  .filter((value) => !/[\0\p{Surrogate}]/u.test(value));

describe('quoteWord', () => {
  test('bash reads back what was quoted', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 200, maxLength: 200 }), (words) => {
        assert.deepEqual(bashWords(`printf '%s\\0' ${words.map(quoteWord).join(' ')}`), words);
      }),
      { numRuns: 10 },
    );
  });

  test('plain words stay plain, and nothing that steers a terminal is left', () => {
    for (const plain of ['-device', 'a=b,c', '/dev/fdset/2', 'x86_64']) assert.equal(quoteWord(plain), plain);
    assert.equal(quoteWord(''), "''");
    assert.equal(quoteWord('{"a":"b c"}'), `'{"a":"b c"}'`);
    assert.equal(quoteWord("it's"), `'it'"'"'s'`);
    assert.equal(quoteWord('\x1b]52;\x07\u202e'), "$'\\033]52;\\007\\342\\200\\256'");
  });
});

describe('renderShell', () => {
  test('a command over several lines gives the same words', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(word, fc.constantFrom('-S', '-device', '-')), { maxLength: 100 }),
        (words) => {
          assert.deepEqual(bashWords(renderShell(['/usr/bin/printf', '%s\\0', 'first', ...words])), [
            'first',
            ...words,
          ]);
        },
      ),
      { numRuns: 20 },
    );
    assert.equal(
      renderShell(['/usr/bin/qemu-system-x86_64', '-S', '-name', 'guest=a b']),
      "/usr/bin/qemu-system-x86_64 \\\n  -S \\\n  -name 'guest=a b'",
    );
  });

  test('a program whose name is a word of the shell is still a program', () => {
    for (const name of ['if', 'a=b', '~', 'while', '{']) {
      assert.throws(() => execFileSync('bash', ['-c', renderShell([name])], { stdio: 'pipe' }), {
        status: 127,
      });
    }
  });
});
