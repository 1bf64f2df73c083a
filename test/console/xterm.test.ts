import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IBufferCell, Terminal } from '@xterm/headless';
import fc from 'fast-check';
import { GuestOutput } from '../../src/console/guest-output.ts';
import { allowedByDefault } from '../../src/console/terminal-reach.ts';
import { cutUp } from './chunks.ts';

const [columns, rows] = [20, 6];
/** Red, green and blue of the tint, one number as the emulator has them. */
const tintColour = 0x0c3313;

const colours = [
  '0',
  '',
  '49',
  '44',
  '103',
  '48;5;20',
  '48;2;1;2;3',
  '48:5:7',
  '48:2::9:8:7',
  '38;5;48',
  '38;2;49;49;0',
];
const styles = ['1', '7', '27', '31', '39', '4:3', '58;5;49', '95', '22'];

/** Sequences that have to do with the background, and text; every one is complete and known to the emulator. */
const piece = fc.oneof(
  { arbitrary: fc.stringMatching(/^[a-zäöß漢 ]{1,30}$/u), weight: 6 },
  {
    arbitrary: fc
      .array(fc.constantFrom(...colours, ...styles), { maxLength: 4 })
      .map((parameters) => `\x1b[${parameters.join(';')}m`),
    weight: 6,
  },
  {
    arbitrary: fc.constantFrom(
      ...['\r\n', '\n', '\r', '\t', '\b', '\x1bM', '\x1bD', '\x1bE', '\x1b7', '\x1b8', '\x1b[s', '\x1b[u'],
      ...[
        '\x1b[K',
        '\x1b[1K',
        '\x1b[2K',
        '\x1b[J',
        '\x1b[1J',
        '\x1b[2J',
        '\x1b[H',
        '\x1b[3;5H',
        '\x1b[6;1H',
        '\x1b[A',
      ],
      ...[
        '\x1b[2L',
        '\x1b[M',
        '\x1b[3@',
        '\x1b[2P',
        '\x1b[4X',
        '\x1b[2S',
        '\x1b[2;4r',
        '\x1b[r',
        '\x1b#8',
        '\x1b[3b',
      ],
      ...[
        '\x1b[?1049h',
        '\x1b[?1049l',
        '\x1b[?1047h',
        '\x1b[?1047l',
        '\x1b[?47h',
        '\x1b[?47l',
        '\x1b[?1048h',
        '\x1b[?1048l',
      ],
      ...[
        '\x1bc',
        '\x1b[!p',
        '\x1b[?7l',
        '\x1b[?7h',
        '\x1b[4h',
        '\x1b[4l',
        '\x1b[?6h',
        '\x1b[?6l',
        '\u009b0m',
        '\x1b[1\n;4m',
      ],
      ...['\x1b]0;title\x07', '\x1b]52;c;QQ==\x07', '\x05', '\x1b[\x18', '\x1b]8;;http://x/\x1b\\'],
    ),
    weight: 8,
  },
);

interface Screen {
  readonly cells: readonly string[];
  readonly backgrounds: readonly string[];
  readonly cursor: string;
}

async function show(chunks: readonly (Buffer | string)[]): Promise<Screen> {
  const terminal = new Terminal({ cols: columns, rows, scrollback: 0, allowProposedApi: true });
  try {
    for (const chunk of chunks) await new Promise<void>((resolve) => terminal.write(chunk, resolve));
    const buffer = terminal.buffer.active;
    const cells: string[] = [];
    const backgrounds: string[] = [];
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const cell = buffer.getLine(buffer.baseY + row)?.getCell(column);
        assert.ok(cell, 'the screen is full of cells');
        // A cell that was never written and one that was erased look the same.
        cells.push(
          `${cell.getChars() || ' '} ${cell.getFgColorMode()} ${cell.getFgColor()} ${cell.isBold()}`,
        );
        backgrounds.push(backgroundOf(cell));
      }
    }
    return { cells, backgrounds, cursor: `${buffer.type} ${buffer.cursorX},${buffer.cursorY}` };
  } finally {
    terminal.dispose();
  }
}

function backgroundOf(cell: IBufferCell): string {
  if (cell.isBgDefault()) return 'default';
  return cell.isBgRGB() && cell.getBgColor() === tintColour
    ? 'tint'
    : `${cell.getBgColorMode()} ${cell.getBgColor()}`;
}

test('with the tint the emulator shows it where the default background would be, and all else the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 40 }),
      fc.array(fc.nat(12), { maxLength: 30 }),
      async (pieces, cuts) => {
        const whole = Buffer.from(pieces.join(''));
        const out = new GuestOutput({ tint: '48;2;12;51;19', mode: 'interactive', allow: allowedByDefault });
        const tinted = [out.start(), ...cutUp(whole, cuts).map((chunk) => out.push(Buffer.from(chunk)))];
        const [plain, shown] = await Promise.all([show([whole]), show(tinted)]);
        assert.deepEqual(
          shown.backgrounds,
          plain.backgrounds.map((background) => (background === 'default' ? 'tint' : background)),
        );
        assert.deepEqual(shown.cells, plain.cells);
        assert.equal(shown.cursor, plain.cursor);
      },
    ),
    { numRuns: 250 },
  );
});

test('after the end nothing is tinted behind the cursor', async () => {
  const out = new GuestOutput({ tint: '48;2;12;51;19', mode: 'interactive', allow: allowedByDefault });
  const screen = await show([out.start(), out.push(Buffer.from('text\r\nmore')), out.end(), 'x\r\ny']);
  const [first, second, third] = [0, columns, 2 * columns];
  assert.ok(screen.backgrounds.slice(first, second).every((background) => background === 'tint'));
  assert.ok(screen.backgrounds.slice(second, second + 4).every((background) => background === 'tint'));
  assert.ok(screen.backgrounds.slice(second + 4).every((background) => background === 'default'));
  assert.match(screen.cells[third] ?? '', /^y /);
});
