import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EscapeParser } from '../../src/console/escape-parser.ts';
import { SEQUENCE_LIMIT, type Sequence, STRING_LIMIT } from '../../src/console/escape-sequence.ts';
import { chunkedStream } from './chunks.ts';

interface Found {
  /** What a terminal gets if every sequence goes by. */
  readonly output: string;
  readonly sequences: readonly string[];
}

/** Runs the parser; `long` decides about strings that are too long. */
function parse(chunks: readonly (Buffer | string)[], long = true): Found {
  const parser = new EscapeParser();
  const sequences: string[] = [];
  let output = '';
  let done = 0;
  const flush = (end: number) => {
    assert.ok(end >= done && end <= parser.chunk.length, 'offsets go forward');
    output += parser.chunk.toString('latin1', done, end);
    done = end;
  };
  const put = ({ data, start, end, chunkStart, chunkEnd }: Sequence) => {
    flush(chunkStart);
    output += data.toString('latin1', start, end);
    done = chunkEnd;
  };
  const sink = {
    sequence(sequence: Sequence) {
      const { kind, data, start, end, bodyStart, bodyEnd, final, prefix, intermediates } = sequence;
      const text = data.toString('latin1', start, end);
      if (kind === 'csi') {
        assert.equal(data[end - 1], final);
        assert.equal(prefix !== 0, /^\x1b\[[<-?]/.test(text));
        assert.match(data.toString('latin1', bodyStart, bodyEnd), /^[0-;]*$/);
        assert.equal(intermediates > 0xff ? 2 : Number(intermediates > 0), end - 1 - bodyEnd);
        assert.ok(text.length <= SEQUENCE_LIMIT);
      }
      sequences.push(`${kind} ${text}`);
      put(sequence);
    },
    overflow(sequence: Sequence) {
      assert.equal(sequence.end - sequence.start, STRING_LIMIT);
      sequences.push(`long ${sequence.kind}`);
      if (long) put(sequence);
      return long;
    },
    broken(at: number) {
      flush(at);
      output += '<broken>';
    },
    remove(start: number, end: number) {
      flush(start);
      assert.ok(end >= start);
      done = end;
    },
  };
  for (const chunk of chunks) {
    done = 0;
    parser.parse(Buffer.from(chunk), sink);
    flush(parser.chunk.length);
    parser.chunk = Buffer.alloc(0);
  }
  return { output, sequences };
}

const latin1 = (text: string) => Buffer.from(text).toString('latin1');

test('sequences of every kind are found, and text is none', () => {
  const { output, sequences } = parse([
    'text \x1b[1;31mred\x1b[m \x1b(0\x1b7\x1b[?25l\x1b[>4;2m\x1b[ q\x1b[?1$p\x1b]0;title\x07\x1b]8;;x\x1b\\\x1bPq#1\x1b\\\x1b_Ga\x1b\\\x1b^p\x1b\\\x1bXs\x1b\\\x1bkname\x1b\\',
  ]);
  assert.deepEqual(sequences, [
    ...[
      'csi \x1b[1;31m',
      'csi \x1b[m',
      'escape \x1b(0',
      'escape \x1b7',
      'csi \x1b[?25l',
      'csi \x1b[>4;2m',
      'csi \x1b[ q',
    ],
    ...[
      'csi \x1b[?1$p',
      'osc \x1b]0;title\x07',
      'osc \x1b]8;;x\x1b\\',
      'dcs \x1bPq#1\x1b\\',
      'apc \x1b_Ga\x1b\\',
    ],
    ...['pm \x1b^p\x1b\\', 'sos \x1bXs\x1b\\', 'title \x1bkname\x1b\\'],
  ]);
  assert.ok(output.startsWith('text \x1b[1;31mred\x1b[m \x1b(0'));
});

test('what breaks a sequence off removes it: CAN, SUB, ESC, another script', () => {
  for (const [text, output] of [
    ['a\x1b[1\x18b', 'a\x18b'],
    ['a\x1b]52;c;x\x1ab', 'a\x1ab'],
    ['a\x1b[1\x1b[2mb', 'a\x1b[2mb'],
    ['a\x1b]52;c;x\x1b[2mb', 'a\x1b[2mb'],
    ['a\x1b[2\xf4b', latin1('a\xf4b')],
    ['a\x1b\xe9b', latin1('a\xe9b')],
    ['a\x1b[1?2hb', 'ab'],
    ['a\x1b[1!!!pb', 'ab'],
    [`a\x1b[${'1;'.repeat(200)}mb`, 'ab'],
  ] as const) {
    assert.equal(parse([text]).output, output, JSON.stringify(text));
  }
});

test('control characters within a sequence are executed before it, ENQ never', () => {
  assert.equal(parse(['\x1b[3\r\n1\x7fm']).output, '\r\n\x1b[31m');
  assert.equal(parse(['a\x05\x1b[3\x051m\x1b]0;x\x05y\x07']).output, 'a\x1b[31m\x1b]0;xy\x07');
});

test('C1 controls count as UTF-8 and become their 7-bit form; single bytes are text', () => {
  assert.equal(parse(['a\u009b31mb\u0085\u009d0;x\u009c\u009cc']).output, 'a\x1b[31mb\x1bE\x1b]0;x\x1b\\c');
  const raw = Buffer.of(0x9b, 0x33, 0x31, 0x6d, 0xc3, 0x9b);
  assert.deepEqual(parse([raw]), { output: raw.toString('latin1'), sequences: [] });
});

test('what is removed leaves no halves that make a control together', () => {
  const raw = (...parts: readonly (string | number)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))));
  for (const [whole, output] of [
    [raw('a', 0xc2, 0x05, 0x9b, '31m'), raw('a', 0x9b, '31m')],
    [raw('a', 0xc2, '\x1b[1?m', 0x9b, '31m'), raw('a', 0x9b, '31m')],
    [raw('\x1b]0;x', 0xc2, 0x05, 0x9c, 'y\x07'), raw('\x1b]0;x', 0x9c, 'y\x07')],
    [raw('\x1bPq', 'x'.repeat(5000), 0xc2, 0x05, 0x9c), raw('\x1bPq', 'x'.repeat(5000), 0x9c)],
  ] as const) {
    assert.equal(parse([whole]).output, output.toString('latin1'));
    assert.equal(parse([...whole].map((byte) => Buffer.of(byte))).output, output.toString('latin1'));
  }
});

test('BEL ends an OSC string only', () => {
  assert.deepEqual(parse(['\x1bPq\x07\x1b\\']).sequences, ['dcs \x1bPq\x07\x1b\\']);
});

test("the Linux console's palette sequences need no terminator", () => {
  assert.deepEqual(parse(['a\x1b]Pf00ff00b\x1b]Rc\x1b]Pfxd']), { output: 'abcxd', sequences: [] });
});

test('a byte that is removed does not hide what the string begins with', () => {
  for (const removed of ['\x05', '\xc2']) {
    assert.deepEqual(parse([Buffer.from(`a\x1b]${removed}Rb`, 'latin1')]), { output: 'ab', sequences: [] });
    assert.equal(parse([Buffer.from(`a\x1b]${removed}P1234567b`, 'latin1')]).output, 'ab');
  }
});

test('a long string goes by or is removed as a whole', () => {
  const image = `\x1bPq${'x'.repeat(2 * STRING_LIMIT)}\x1b\\`;
  assert.equal(parse([`a${image}b`]).output, `a${image}b`);
  assert.equal(parse([`a${image}b`], false).output, 'ab');
  assert.equal(parse([`${image.slice(0, -2)}\x1b[mb`]).output, `${image.slice(0, -2)}<broken>\x1b[mb`);
  assert.equal(parse([`${image.slice(0, -2)}\x1b[mb`], false).output, '\x1b[mb');
  assert.equal(parse([`${image.slice(0, -2)}\u009cb`]).output, `${image.slice(0, -2)}<broken>b`);
});

test('what is found does not depend on the chunks', () => {
  fc.assert(
    fc.property(chunkedStream, fc.boolean(), ({ whole, chunks }, long) => {
      assert.deepEqual(parse(chunks, long), parse([whole], long));
    }),
    { numRuns: 2000 },
  );
});

test('a stream byte by byte is the same too', () => {
  fc.assert(
    fc.property(chunkedStream, ({ whole }) => {
      assert.deepEqual(parse([...whole].map((byte) => Buffer.of(byte))), parse([whole]));
    }),
    { numRuns: 200 },
  );
});

test('parsing what came out finds nothing new', () => {
  fc.assert(
    fc.property(chunkedStream, ({ whole }) => {
      const once = parse([whole]);
      const output = once.output.replaceAll('<broken>', '\x18');
      assert.deepEqual(parse([Buffer.from(output, 'latin1')]).output.replaceAll('<broken>', '\x18'), output);
    }),
    { numRuns: 1000 },
  );
});
