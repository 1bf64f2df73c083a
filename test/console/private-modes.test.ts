import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PrivateModes } from '../../src/console/private-modes.ts';

const always = '\x1b[!p\x1b[0m\x1b[?7h\x1b[?25h';

function resetAfter(...chunks: readonly string[]): string {
  const modes = new PrivateModes();
  for (const chunk of chunks) modes.push(Buffer.from(chunk, 'latin1'));
  return modes.reset();
}

test('only what the guest left changed is undone', () => {
  assert.equal(resetAfter('plain text'), `\x18${always}`);
  assert.equal(resetAfter('\x1b[?2004h$ \x1b[?2004l'), `\x18${always}`);
  assert.equal(resetAfter('\x1b[?2004h\x1b[?25l'), `\x18\x1b[?2004l\x1b[?25h${always}`);
  assert.equal(resetAfter('\x1b[?9999h\x1b[?12;1000;1006h'), `\x18\x1b[?1000l\x1b[?1006l${always}`);
});

test('the alternate screen is left first', () => {
  assert.equal(resetAfter('\x1b[?1h\x1b[?1049h'), `\x18\x1b[?1049l\x1b[?1l${always}`);
});

test('what looks alike is none', () => {
  for (const text of ['\x1b[?1000$p', '\x1b[?1000', '\x1b[1000h', `\x1b[?${'1;'.repeat(60)}1000h`]) {
    assert.equal(resetAfter(text), `\x18${always}`, JSON.stringify(text));
  }
});

test('chunk boundaries do not matter', () => {
  const piece = fc.constantFrom('\x1b', '[', '?', '1049', '25', '2004', ';', 'h', 'l', 'x', '\x1b[?1049h');
  fc.assert(
    fc.property(fc.array(piece), fc.array(fc.nat(40)), (pieces, cuts) => {
      const text = pieces.join('');
      const chunks: string[] = [];
      let from = 0;
      for (const cut of cuts) {
        chunks.push(text.slice(from, from + cut));
        from += cut;
      }
      chunks.push(text.slice(from));
      assert.equal(resetAfter(...chunks), resetAfter(text));
    }),
  );
});
