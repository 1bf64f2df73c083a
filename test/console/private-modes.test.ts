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
  const set = (mode: number) => `\x1b[?${mode}${[7, 8, 25, 1070].includes(mode) ? 'l' : 'h'}`;
  const modes = Array.from({ length: 10_000 }, (_, mode) => mode);
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

test('there is one alternate screen: whichever leaves it, it is left', () => {
  for (const set of [47, 1047, 1049])
    for (const reset of [47, 1047, 1049]) {
      const modes = new PrivateModes();
      modes.push(Buffer.from(`\x1b[?${set}h\x1b[?1047h\x1b[?${reset}l`));
      assert.equal(modes.screenAgain(), '');
      assert.equal(modes.reset(), always);
      modes.push(Buffer.from(`\x1b[?${set}h`));
      assert.equal(modes.screenAgain(), `\x1b[?${set}h`);
    }
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
