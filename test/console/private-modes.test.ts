import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PrivateModes, resetFromAny } from '../../src/console/private-modes.ts';

const always = '\x1b[!p\x0f\x1b(B\x1b>\x1b[4l\x1b[0m\x1b7\x1b[r\x1b8\x1b[?7h\x1b[?25h';

function resetAfter(...chunks: readonly string[]): string {
  const modes = new PrivateModes();
  for (const chunk of chunks) modes.push(Buffer.from(chunk, 'latin1'));
  return modes.reset();
}

test('only what the guest left changed is undone', () => {
  assert.equal(resetAfter('plain text'), always);
  assert.equal(resetAfter('\x1b[?2004h$ \x1b[?2004l'), always);
  assert.equal(resetAfter('\x1b[?2004h\x1b[?25l'), `\x1b[?2004l\x1b[?25h${always}`);
  assert.equal(resetAfter('\x1b[?9999h\x1b[?12;1000;1006h'), `\x1b[?1000l\x1b[?1006l${always}`);
});

test('the cursor gets its shape back, a reset terminal needs nothing', () => {
  assert.equal(resetAfter('\x1b[5 q\x1b[?17;0;64c\x1b[2 q'), `\x1b[0 q\x1b[?0c${always}`);
  assert.equal(resetAfter('\x1b[5 q\x1b[?2004h\x1bc'), always);
});

test('where nothing is known all is undone that may be, but for what would move the cursor', () => {
  const set = (mode: number) => `\x1b[?${mode}${mode === 7 || mode === 8 || mode === 25 ? 'l' : 'h'}`;
  const modes = Array.from({ length: 3000 }, (_, mode) => mode);
  const known = resetAfter(...modes.map(set), '\x1b[5 q\x1b[?17;0;64c');
  const sequences = (text: string) => text.match(/\x1b(?:\[[!-?]*[ !]?[@-~]|[(78>=]B?)|\x0f/g) ?? [];
  assert.equal(sequences(known).join(''), known);
  const from = new Set(sequences(resetFromAny()));
  assert.deepEqual(
    sequences(known).filter((sequence) => !from.has(sequence)),
    ['\x1b[?47l', '\x1b[?1049l', '\x1b[?6l'],
  );
});

test('the alternate screen is left first', () => {
  assert.equal(resetAfter('\x1b[?1h\x1b[?1049h'), `\x1b[?1049l\x1b[?1l${always}`);
});

test('what looks alike is none', () => {
  for (const text of ['\x1b[?1000$p', '\x1b[?1000', '\x1b[1000h', `\x1b[?${'1;'.repeat(60)}1000h`]) {
    assert.equal(resetAfter(text), always, JSON.stringify(text));
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
