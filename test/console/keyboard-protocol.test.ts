import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GuestOutput } from '../../src/console/guest-output.ts';
import { KeyboardProtocol } from '../../src/console/keyboard-protocol.ts';
import { allowedByDefault } from '../../src/console/terminal-reach.ts';

/** A terminal's keyboard: for the normal and the alternate screen the flags that are in force, last, and those below. */
class Keyboard {
  readonly screens: [number[], number[]] = [[0], [0]];
  screen: 0 | 1 = 0;

  write(text: string): void {
    for (const [, prefix, parameters = '', final] of text.matchAll(/\x1b\[([<=>?])([0-9;]*)([hlu])/g)) {
      const stack = this.screens[this.screen];
      const [first = 0, mode = 1] = parameters === '' ? [] : parameters.split(';').map(Number);
      if (final !== 'u') {
        if (parameters === '1049' || parameters === '1047') this.screen = final === 'h' ? 1 : 0;
      } else if (prefix === '>') stack.push(first);
      else if (prefix === '<') {
        stack.splice(Math.max(0, stack.length - (parameters === '' ? 1 : first)));
        if (stack.length === 0) stack.push(0);
      } else {
        const now = stack.pop() ?? 0;
        stack.push(mode === 2 ? now | first : mode === 3 ? now & ~first : first);
      }
    }
  }
}

const sequence = fc.oneof(
  fc.constantFrom('\x1b[?1049h', '\x1b[?1049l', '\x1b[<u', '\x1b[<2u', '\x1b[<99u', '\x1b[>u', 'text'),
  fc.nat(31).map((flags) => `\x1b[>${flags}u`),
  fc
    .tuple(fc.nat(31), fc.constantFrom('', ';1', ';2', ';3'))
    .map(([flags, mode]) => `\x1b[=${flags}${mode}u`),
);

function guestOutput(): GuestOutput {
  return new GuestOutput({ tint: null, mode: 'interactive', allow: allowedByDefault });
}

test('the keyboard is the host’s after the end, and as the guest wants it after a stop', () => {
  fc.assert(
    fc.property(fc.array(sequence, { maxLength: 40 }), (pieces) => {
      const keyboard = new Keyboard();
      const out = guestOutput();
      keyboard.write(out.push(Buffer.from(pieces.join(''))).toString());
      const before = structuredClone({ ...keyboard });
      keyboard.write(out.end());
      assert.equal(keyboard.screen, 0);
      assert.deepEqual(keyboard.screens[0], [0]);
      assert.deepEqual(keyboard.screens[1], [0]);
      keyboard.write(out.again(24));
      assert.deepEqual({ ...keyboard }, before);
      keyboard.write(out.endOfAny());
      assert.deepEqual(keyboard.screens[0], [0]);
    }),
    { numRuns: 1000 },
  );
});

test('what the host has pushed before is there after the end', () => {
  const keyboard = new Keyboard();
  keyboard.write('\x1b[>7u');
  const out = guestOutput();
  keyboard.write(out.push(Buffer.from('\x1b[<u\x1b[>1u\x1b[>3u\x1b[<9u\x1b[>4u')).toString());
  assert.deepEqual(keyboard.screens[0], [0, 7, 4]);
  keyboard.write(out.end());
  assert.deepEqual(keyboard.screens[0], [0, 7]);
});

test('what was pushed for the alternate screen goes with it, and other modes with that', () => {
  const shown = (text: string) => guestOutput().push(Buffer.from(text)).toString();
  assert.equal(
    shown('\x1b[?1049h\x1b[>31u\x1b[=1u\x1b[?25;1049l\x1b[?1049h\x1b[<u'),
    '\x1b[?1049h\x1b[>31u\x1b[=1u\x1b[<1u\x1b[?25;1049l\x1b[?1049h',
  );
  const normal = '\x1b[>1u\x1b[?1049l\x1b[?1049h\x1b[?47l\x1b[<u';
  assert.equal(shown(normal), normal);
});

test('a terminal with eight places keeps what the host has pushed', () => {
  const keyboard = new Keyboard();
  keyboard.write('\x1b[>7u');
  const [places, host] = [8, keyboard.screens[0].slice(1)];
  const out = guestOutput();
  keyboard.write(out.push(Buffer.from('\x1b[>1u'.repeat(30))).toString());
  assert.ok(keyboard.screens[0].length - 1 <= places);
  keyboard.write(out.end());
  assert.deepEqual(keyboard.screens[0].slice(1), host);
});

test('the stack is bounded, and what is malformed is dropped', () => {
  const protocol = new KeyboardProtocol();
  for (const parameters of ['1:2', '1;4', '1;2;3', '9999', ';x']) {
    assert.equal(protocol.judge(0x3d, parameters), 'drop', parameters);
    assert.equal(protocol.judge(0x3e, parameters), 'drop', parameters);
  }
  assert.equal(protocol.judge(0x3c, '1'), 'drop');
  assert.equal(protocol.judge(0x3c, '1:2'), 'drop');
  for (let count = 0; count < 7; count += 1) assert.equal(protocol.judge(0x3e, '1'), 'pass');
  assert.equal(protocol.judge(0x3e, '1'), 'drop');
  assert.equal(protocol.judge(0x3c, '20'), 7);
  assert.equal(protocol.undo(), '');
});
