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

test('it agrees with a byte-by-byte model, at any chunk boundary and pace', () => {
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
