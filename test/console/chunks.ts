import fc from 'fast-check';

/** What escape sequences are made of, whole and in pieces, well-formed and not. */
export const pieces: fc.Arbitrary<string> = fc.constantFrom(
  ...[
    '\x1b',
    '\x1b[',
    '\x1b]',
    '\x1bP',
    '\x1b_',
    '\x1b^',
    '\x1bX',
    '\x1bk',
    '\x1b\\',
    '\x07',
    '\x18',
    '\x1a',
    '\x05',
  ],
  ...[
    '\u009b',
    '\u009d',
    '\u0090',
    '\u009c',
    '\u0085',
    '\u009a',
    '\xe9',
    '\u20ac',
    '\xa0',
    '\n',
    '\r',
    '\t',
    '\x7f',
    '\0',
  ],
  ...['0', '1', '4', '49', '48', '5', '2', ';', ':', '?', '>', '=', '<', ' ', '!', '$', '#', '%', '(', '+'],
  ...[
    'm',
    'h',
    'l',
    'c',
    'n',
    'p',
    'q',
    'u',
    't',
    's',
    'J',
    'K',
    'H',
    'P',
    'R',
    'i',
    'y',
    'x',
    'text',
    '7',
    '8',
  ],
  ...[
    '\x1b[m',
    '\x1b[0m',
    '\x1b[1;31m',
    '\x1b[44m',
    '\x1b[48;5;3m',
    '\x1b[?1049h',
    '\x1b[?1049l',
    '\x1b[?25;1000h',
  ],
  ...[
    '\x1b]0;title\x07',
    '\x1b]52;c;QQ==\x1b\\',
    '\x1b]11;?\x07',
    '\x1b]8;;http://x/\x1b\\',
    '\x1bc',
    '\x1b[!p',
    '\x1b[6n',
  ],
  ...[
    '\x1bPq#0\x1b\\',
    '\x1bP$qm\x1b\\',
    '\x1b_Ga=q\x1b\\',
    '\x1bPtmux;\x1b\x1b]52;c;?\x07\x1b\\',
    '\x1b[>1u',
    '\x1b[<u',
    '\x1b[22t',
  ],
  ...[
    'x'.repeat(100),
    '1'.repeat(300),
    'y'.repeat(5000),
    `\x1bPq${'z'.repeat(4090)}`,
    `\x1b]52;c;${'A'.repeat(4100)}`,
  ],
);

/** A stream of bytes, some of them no UTF-8, and the same stream in chunks. */
export const chunkedStream: fc.Arbitrary<{ readonly whole: Buffer; readonly chunks: readonly Buffer[] }> = fc
  .tuple(
    fc.array(fc.oneof({ arbitrary: pieces.map((text) => Buffer.from(text)), weight: 5 }, rawBytes()), {
      maxLength: 60,
    }),
    fc.array(fc.oneof({ arbitrary: fc.nat(6), weight: 4 }, fc.nat(3000)), { maxLength: 60 }),
  )
  .map(([parts, cuts]) => {
    const whole = Buffer.concat(parts);
    return { whole, chunks: cutUp(whole, cuts) };
  });

/** Bytes that are no UTF-8 by themselves: halves of C1 controls above all. */
function rawBytes(): fc.Arbitrary<Buffer> {
  const halves = fc.constantFrom(
    [0xc2],
    [0x9b],
    [0x9d, 0x35, 0x32, 0x3b],
    [0x9c],
    [0xc2, 0x05],
    [0xe2, 0x82],
  );
  return fc
    .oneof(halves, fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 4 }))
    .map((bytes) => Buffer.from(bytes));
}

/** The stream in pieces of these lengths, and the rest of it. */
export function cutUp(whole: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let from = 0;
  for (const length of lengths) {
    chunks.push(whole.subarray(from, from + length));
    from += length;
  }
  chunks.push(whole.subarray(from));
  return chunks;
}
