import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type HotkeyAction, HotkeyDetector, hotkeyWindow } from '../../src/console/input.ts';

const letters: { readonly [letter: string]: HotkeyAction } = { r: 'reboot', p: 'power-off', d: 'detach' };

function detector(): { hotkey: HotkeyDetector; clock: { time: number } } {
  const clock = { time: 1000 };
  return { hotkey: new HotkeyDetector(() => clock.time), clock };
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(']', '\x1d'), 'latin1'));
}

test('one or two presses are for the guest, the third ends and is swallowed with what follows', () => {
  const { hotkey } = detector();
  assert.deepEqual(hotkey.push(bytes(']')), { forward: bytes(']'), action: null });
  assert.deepEqual(hotkey.push(bytes(']')), { forward: bytes(']'), action: null });
  assert.deepEqual(hotkey.push(bytes(']ab')), { forward: bytes(''), action: 'end' });
});

test('three presses in one chunk end; text before them is forwarded', () => {
  const { hotkey } = detector();
  assert.deepEqual(hotkey.push(bytes('a]]]b')), { forward: bytes('a]]'), action: 'end' });
});

test('a letter after two presses acts and is swallowed; after one, or after another byte, it is a letter', () => {
  for (const [letter, action] of Object.entries(letters)) {
    const { hotkey } = detector();
    assert.deepEqual(hotkey.push(bytes(`]${letter}`)), { forward: bytes(`]${letter}`), action: null });
    assert.deepEqual(hotkey.push(bytes(`]]x${letter}`)), { forward: bytes(`]]x${letter}`), action: null });
    assert.deepEqual(hotkey.push(bytes(']')), { forward: bytes(']'), action: null });
    assert.deepEqual(hotkey.push(bytes(']')), { forward: bytes(']'), action: null });
    assert.deepEqual(hotkey.push(bytes(letter)), { forward: bytes(''), action });
    assert.deepEqual(hotkey.push(bytes(letter)), { forward: bytes(letter), action: null });
  }
  assert.equal(detector().hotkey.push(bytes(']]D')).action, null);
});

test('the window is a second, and it slides', () => {
  const { hotkey, clock } = detector();
  const typeAt = (time: number, text = ']') => {
    clock.time = time;
    return hotkey.push(bytes(text)).action;
  };
  assert.deepEqual(
    [0, 900, 1001].map((time) => typeAt(time)),
    [null, null, null],
  );
  assert.equal(typeAt(1900), 'end');
  assert.deepEqual([typeAt(1950), typeAt(1960)], [null, null], 'the count starts anew after an end');
  assert.equal(typeAt(2950), 'end', 'exactly a second is within');
  assert.deepEqual(
    [typeAt(4000), typeAt(4900), typeAt(5001, 'd')],
    [null, null, null],
    'the first is too old',
  );
  assert.deepEqual([typeAt(6000), typeAt(6900), typeAt(7000, 'd')], [null, null, 'detach']);
});

/** Ctrl-] as terminals report it when a guest has asked for a protocol of the keyboard. */
const presses = [
  ...['\x1b[93;5u', '\x1b[93;5:1u', '\x1b[93;5:2u', '\x1b[93:125;5u', '\x1b[93::93;5u', '\x1b[93;5;29u'],
  ...['\x1b[93;69u', '\x1b[93;133:1u', '\x1b[93;197u', '\x1b[27;5;93~', '\x1b[27;69;93~'],
];
/** What is no key. */
const none = [
  ...['\x1b[93;5:3u', '\x1b[93;1:3u', '\x1b[114;1:3u', '\x1b[1;1:3A', '\x1b[3;5:3~'],
  ...['\x1b[57442;5u', '\x1b[57442;5:1u', '\x1b[57442;1:3u', '\x1b[57448;5:2u'],
];
/** Other keys, and what is not of these protocols. */
const others = [
  ...[
    '\x1b[93u',
    '\x1b[93;6u',
    '\x1b[93;1u',
    '\x1b[94;5u',
    '\x1b[27;6;93~',
    '\x1b[27;5;94~',
    '\x1b[28;5;93~',
  ],
  ...[
    '\x1b[A',
    '\x1b[1;5A',
    '\x1b[?1u',
    '\x1b[I',
    '\x1b[<0;1;1M',
    '\x1b',
    '\x1b\x1b',
    '\x1b[',
    '\x1b[93;5',
    'a',
  ],
  ...[
    '\x1b[29u',
    '\x1b[114;5u',
    '\x1b[114;2u',
    '\x1b[27;5;114~',
    '\x1b[115u',
    '\x1b[57441~',
    '\x1b[0u',
    '\x1b[u',
  ],
];
const letterReports = (letter: string) => {
  const code = letter.charCodeAt(0);
  const [u, xterm] = [`\x1b[${code}`, '\x1b[27'];
  return [letter, `${u}u`, `${u};1u`, `${u};1:1u`, `${u};;${code}u`, `${u}:82;65u`, `${xterm};1;${code}~`];
};

function typed(...pieces: readonly string[]) {
  const { hotkey } = detector();
  let forward = '';
  let action: HotkeyAction | null = null;
  for (const piece of pieces) {
    const result = hotkey.push(Uint8Array.from(Buffer.from(piece, 'latin1')));
    forward += Buffer.from(result.forward).toString('latin1');
    action = result.action;
  }
  return { forward, action };
}

test('a key that is reported by a protocol is that key', () => {
  for (const press of presses) {
    const name = JSON.stringify(press);
    assert.deepEqual(typed(press, press, press), { forward: press.repeat(2), action: 'end' }, name);
    assert.deepEqual(typed(`a${press.repeat(3)}b`), { forward: `a${press.repeat(2)}`, action: 'end' }, name);
    assert.deepEqual(typed('\x1d', press, '\x1d'), { forward: `\x1d${press}`, action: 'end' }, name);
    for (const [letter, action] of Object.entries(letters))
      for (const report of letterReports(letter)) {
        assert.deepEqual(typed(press, press, report), { forward: press.repeat(2), action }, report);
        assert.equal(typed(press, report).action, null);
      }
  }
});

test('a key that is released, and Ctrl by itself, are none; any other key starts anew', () => {
  const [press = ''] = presses;
  for (const text of none) {
    const between = `${press}${text}${press}${text}`;
    assert.deepEqual(typed(between, press), { forward: between, action: 'end' }, JSON.stringify(text));
    assert.deepEqual(typed(between, 'd'), { forward: between, action: 'detach' }, JSON.stringify(text));
  }
  for (const text of others) {
    const all = `${press}${press}${text}${press}`;
    assert.deepEqual(typed(all), { forward: all, action: null }, JSON.stringify(text));
    assert.deepEqual(typed(press, press, text, press).action, null, JSON.stringify(text));
    assert.deepEqual(typed(press, press, text, 'd').action, null, JSON.stringify(text));
  }
});

test('nothing is held back, and a key in pieces counts: the guest gets all of it', () => {
  for (const key of ['\x1b[93;5u', '\x1b[27;5;93~']) {
    for (let at = 1; at < key.length; at += 1) {
      const pieces = [key.slice(0, at), key.slice(at)];
      assert.deepEqual(typed(...pieces), { forward: key, action: null });
      assert.deepEqual(typed(...pieces, ...pieces, ...pieces), { forward: key.repeat(3), action: 'end' });
      assert.deepEqual(typed(...pieces, ...pieces, `${pieces[0]}`), {
        forward: `${key.repeat(2)}${pieces[0]}`,
        action: null,
      });
      assert.deepEqual(typed(...pieces, ...pieces, `${pieces[0]}`, `${pieces[1]}x`).forward, key.repeat(3));
      assert.deepEqual(typed(...pieces, ...pieces, 'd'), { forward: key.repeat(2), action: 'detach' });
    }
  }
  const { hotkey } = detector();
  assert.deepEqual(hotkey.push(bytes('\x1b')), { forward: bytes('\x1b'), action: null });
});

test('what is found does not depend on chunk boundaries', () => {
  const key = fc.constantFrom('\x1d', ...presses, ...none, ...others, ...letterReports('r'), 'd', 'p');
  fc.assert(
    fc.property(fc.array(key, { maxLength: 8 }), fc.array(fc.nat(12)), (reports, cuts) => {
      const text = reports.join('');
      const pieces: string[] = [];
      let from = 0;
      for (const cut of cuts) {
        pieces.push(text.slice(from, from + cut));
        from += cut;
      }
      pieces.push(text.slice(from));
      const { hotkey } = detector();
      const whole = typed(text);
      let forward = '';
      for (const piece of pieces) {
        const result = hotkey.push(Uint8Array.from(Buffer.from(piece, 'latin1')));
        forward += Buffer.from(result.forward).toString('latin1');
        if (result.action === null) continue;
        assert.equal(result.action, whole.action);
        assert.ok(forward.startsWith(whole.forward));
        assert.ok(text.startsWith(forward));
        return;
      }
      assert.deepEqual({ forward, action: null }, whole);
    }),
  );
});

test('bytes agree with a byte-by-byte model, at any chunk boundary and pace', () => {
  const chunk = fc.record({
    pause: fc.integer({ min: 0, max: hotkeyWindow + 100 }),
    text: fc.string({ unit: fc.constantFrom(']', ']', ']', 'a', 'r', 'p', 'd'), maxLength: 8 }),
  });
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
      const { hotkey, clock } = detector();
      let row: number[] = [];
      for (const { pause, text } of chunks) {
        clock.time += pause;
        let expected = '';
        let action: HotkeyAction | null = null;
        const within = (count: number) => clock.time - (row.at(-count) ?? -Infinity) <= hotkeyWindow;
        for (const key of text) {
          if (key === ']') {
            row.push(clock.time);
            if (within(3)) action = 'end';
          } else {
            if (within(2)) action = letters[key] ?? null;
            row = [];
          }
          if (action !== null) {
            row = [];
            break;
          }
          expected += key;
        }
        assert.deepEqual(hotkey.push(bytes(text)), { forward: bytes(expected), action });
      }
    }),
  );
});
