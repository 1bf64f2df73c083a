import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HotkeyDetector, hotkeyWindow } from '../../src/console/input.ts';

const press = 0x1d;

function detector(): { hotkey: HotkeyDetector; clock: { time: number } } {
  const clock = { time: 1000 };
  return { hotkey: new HotkeyDetector(() => clock.time), clock };
}

test('one or two presses are for the guest, the third ends and is swallowed with what follows', () => {
  const { hotkey } = detector();
  assert.deepEqual(hotkey.push(Uint8Array.of(press)), { forward: Uint8Array.of(press), end: false });
  assert.deepEqual(hotkey.push(Uint8Array.of(press)), { forward: Uint8Array.of(press), end: false });
  assert.deepEqual(hotkey.push(Uint8Array.of(press, 1, 2)), { forward: Uint8Array.of(), end: true });
});

test('three presses in one chunk end; text before them is forwarded', () => {
  const { hotkey } = detector();
  const result = hotkey.push(Uint8Array.of(97, press, press, press, 98));
  assert.deepEqual(result, { forward: Uint8Array.of(97, press, press), end: true });
});

test('the window is a second, and it slides', () => {
  const { hotkey, clock } = detector();
  const pressAt = (time: number) => {
    clock.time = time;
    return hotkey.push(Uint8Array.of(press)).end;
  };
  assert.deepEqual([0, 900, 1001].map(pressAt), [false, false, false]);
  assert.equal(pressAt(1900), true);
  assert.deepEqual([1950, 1960].map(pressAt), [false, false], 'the count starts anew after an end');
  assert.equal(pressAt(2950), true, 'exactly a second is within');
});

test('another byte in between starts anew', () => {
  const { hotkey } = detector();
  assert.equal(hotkey.push(Uint8Array.of(press, press, 97, press, press)).end, false);
  assert.equal(hotkey.push(Uint8Array.of(97)).end, false);
  assert.equal(hotkey.push(Uint8Array.of(press, press)).end, false);
  assert.equal(hotkey.push(Uint8Array.of(press)).end, true);
});

test('it agrees with a byte-by-byte model, at any chunk boundary and pace', () => {
  const chunk = fc.record({
    pause: fc.integer({ min: 0, max: hotkeyWindow + 100 }),
    bytes: fc.array(fc.constantFrom(press, press, press, 97), { maxLength: 8 }),
  });
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
      const { hotkey, clock } = detector();
      let row: number[] = [];
      for (const { pause, bytes } of chunks) {
        clock.time += pause;
        const expected: number[] = [];
        let end = false;
        for (const byte of bytes) {
          row = byte === press ? [...row, clock.time] : [];
          const third = row.at(-3);
          if (third !== undefined && clock.time - third <= hotkeyWindow) {
            end = true;
            row = [];
            break;
          }
          expected.push(byte);
        }
        const result = hotkey.push(Uint8Array.from(bytes));
        assert.deepEqual([[...result.forward], result.end], [expected, end]);
      }
    }),
  );
});
