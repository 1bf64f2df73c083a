import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LastAnswers } from '../../src/console/last-answers.ts';

function complete(text: string, size: number): boolean {
  const answers = new LastAnswers();
  for (let at = 0; at < text.length; at += size)
    answers.push(Buffer.from(text.slice(at, at + size), 'latin1'));
  return answers.complete;
}

test('both answers, one behind the other, in pieces of any size; what comes around them does not matter', () => {
  for (let size = 1; size < 40; size += 1) {
    assert.equal(complete('\x1b[?62;22c\x1b[0n', size), true);
    assert.equal(
      complete(`typed\x1b[?1;2c\x1b[3;4R\x1b]11;rgb:0/0/0\x07${'x'.repeat(500)}\x1b[?6c\x1b[0nmore`, size),
      true,
    );
    for (const text of [
      '\x1b[?62;22c',
      '\x1b[0n',
      '\x1b[0n\x1b[?6c',
      '\x1b[>0;1c\x1b[0n',
      '\x1b[?6c\x1b[1;1R\x1b[0n',
    ])
      assert.equal(complete(text, size), false, JSON.stringify(text));
  }
});
