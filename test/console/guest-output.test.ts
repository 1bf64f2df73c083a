import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GuestOutput } from '../../src/console/guest-output.ts';
import { pushedTitles } from '../../src/console/terminal-filter.ts';
import { allowedByDefault } from '../../src/console/terminal-reach.ts';
import { reaches } from '../../src/settings/defaults.ts';
import { chunkedStream } from './chunks.ts';

const tint = '48;2;12;51;19';
const always = '\x1b[!p\x0f\x1b(B\x1b>\x1b[4l\x1b[0m\x1b7\x1b[r\x1b8\x1b[?7h\x1b[?25h';
const set = `\x1b[${tint}m`;

interface Options {
  readonly tint?: string | null;
  readonly dumb?: boolean;
  readonly mode?: 'interactive' | 'replay' | 'read-only';
  readonly allow?: ReadonlySet<(typeof reaches)[number]>;
}

function guestOutput(options: Options = {}): GuestOutput {
  return new GuestOutput({ tint: null, mode: 'interactive', allow: allowedByDefault, ...options });
}

function output(text: string, options: Options = {}): string {
  return guestOutput(options).push(Buffer.from(text)).toString();
}

test('a chunk in which nothing changes is given back as it is', () => {
  const out = guestOutput({ tint });
  for (const text of [
    'plain\r\n',
    '\x1b[1;31mred\x1b[39m',
    '\x1b]0;title\x07',
    'Grüße «»\x1b[K',
    '\x1b[?25l',
  ]) {
    const chunk = Buffer.from(text);
    assert.equal(out.push(chunk), chunk, JSON.stringify(text));
  }
});

test('the tint follows what sets the default background', () => {
  assert.equal(guestOutput({ tint }).start(), `${set}\x1b[J`);
  assert.equal(output('a\x1b[mb\x1b[1;49mc\x1b[44md', { tint }), `a\x1b[m${set}b\x1b[1;49m${set}c\x1b[44md`);
  assert.equal(output('\x1bca\x1b[!pb', { tint }), `\x1bc${set}\x1b[Ja\x1b[!p${set}b`);
  assert.equal(output('\x1b[m\x1b[49m'), '\x1b[m\x1b[49m');
});

test('a sequence in pieces is held until it is complete', () => {
  const out = guestOutput();
  assert.equal(out.push(Buffer.from('a\x1b')).toString(), 'a');
  assert.equal(out.push(Buffer.from('[3')).toString(), '');
  assert.equal(out.push(Buffer.from('1mb\xe9'.normalize())).toString(), '\x1b[31mb\xe9');
  assert.equal(out.push(Buffer.from('\x1b]52;c;QQ')).toString(), '');
  assert.equal(out.push(Buffer.from('==\x07c')).toString(), 'c');
  assert.equal(out.push(Buffer.of(0xc2)).length, 0);
  assert.equal(out.push(Buffer.of(0xa9)).toString(), '©');
});

test('the end undoes what the guest left behind', () => {
  const out = guestOutput({ tint });
  // A terminal keeps what was pushed for the keyboard with the screen.
  out.push(Buffer.from('\x1b[>1u\x1b[>3u\x1b[?1049h\x1b[?1000h\x1b[>1u\x1b[>4;2m\x1b[22;0t'));
  assert.equal(
    out.end(),
    `\x18\x1b[<1u\x1b[?1049l\x1b[?1000l${always}\x1b[<2u\x1b[>4m\x1b[23;0t\x1b[0m\x1b[J`,
  );
  assert.equal(guestOutput().end(), `\x18${always}`);
  out.push(Buffer.from('\x1b[?1000;1049l\x1b[<2u\x1b[23;0t\x1b[>4m'));
  assert.equal(out.end(), `\x18${always}\x1b[>4m\x1b[0m\x1b[J`);
});

test('titles that are pushed are popped by who has not seen the guest too', () => {
  const out = guestOutput();
  const none = out.endOfAny();
  out.push(Buffer.from('\x1b[22;0t\x1b[22;2t\x1b[22t\x1b[23;2t\x1b[21;0t'));
  assert.equal(out.titles, 2);
  assert.equal(out.endOfAny(), `${none}\x1b[23;0t\x1b[23;0t`);
  out.push(Buffer.from('\x1b[22t'.repeat(100)));
  assert.equal(out.endOfAny(), `${none}${'\x1b[23;0t'.repeat(16)}`);
  assert.ok(out.end().endsWith('\x1b[23;0t'.repeat(16)));
  assert.equal(out.endOfAny(14), `${none}\x1b[23;0t\x1b[23;0t`);
  assert.equal(out.endOfAny(17), none);
  const forbidden = guestOutput({ allow: new Set() });
  forbidden.push(Buffer.from('\x1b[22;0t'));
  assert.equal(forbidden.endOfAny().includes('\x1b[23'), false);
});

test('a hyperlink that is left open is closed, and opened again after a stop', () => {
  const close = '\x1b]8;;\x1b\\';
  const open = '\x1b]8;id=1;https://example.org/\x07';
  for (const [written, link] of [
    [open, open],
    [`${open}text\x1b]8;;\x07`, ''],
    [`${open}${close}`, ''],
    [`${open}\x1bc`, ''],
    ['text', ''],
  ] as const) {
    const out = guestOutput();
    out.push(Buffer.from(written));
    assert.equal(out.end().includes(close), link !== '', JSON.stringify(written));
    assert.equal(out.again(24).includes('\x1b]8;'), link !== '');
    assert.ok(out.again(24).includes(link));
    assert.ok(out.endOfAny().includes(close));
  }
  const forbidden = guestOutput({ allow: new Set() });
  forbidden.push(Buffer.from(open));
  for (const end of [forbidden.end(), forbidden.endOfAny()]) assert.equal(end.includes('\x1b]8'), false);
});

test('a dumb terminal is sent nothing in the end, unless the guest has sent it more than text', () => {
  for (const [written, touched] of [
    ['text\r\n\t\x07', false],
    ['\x1b[5', false],
    ['\x1b]52;c;AAAA\x07', false],
    ['\x1b[?25l', true],
    ['\x1b]0;title\x07', true],
  ] as const) {
    const out = guestOutput({ dumb: true });
    out.push(Buffer.from(written));
    assert.equal(out.end() !== '', touched, JSON.stringify(written));
    assert.equal(out.endOfAny() !== '', touched);
    assert.equal(out.untouched, !touched);
  }
});

test('titles in what is dropped are counted, a sequence that is out in part too', () => {
  const bytes = Buffer.from('\x1b[22;0t\x1b[022t\x1b[23tx\x1b[2;3t\x1b[22t');
  assert.equal(pushedTitles(bytes, 0), 2);
  assert.equal(pushedTitles(bytes, 6), 2);
  assert.equal(pushedTitles(bytes, 7), 1);
  assert.equal(pushedTitles(bytes, bytes.length - 1), 1);
  assert.equal(pushedTitles(bytes, bytes.length), 0);
});

test('after a stop the guest finds what it has set', () => {
  for (const [written, again] of [
    ['\x1b[>1u\x1b[>5u\x1b[=2;2u', '\x1b[>1u\x1b[>7u'],
    ['\x1b[=3u\x1b[=1;3u\x1b[>4u\x1b[<u', '\x1b[=2u'],
    ['\x1b[>1u\x1b[?1049h\x1b[>9u', '\x1b[>1u\x1b[?1049h\x1b[>9u'],
    ['\x1b[>1u\x1b[<u', ''],
    ['\x1b[>1u\x1bc', '\x1b[=0u'],
    ['\x1b[>4;1m\x1b[>4;2m\x1b[>1;3m', '\x1b[>4;2m\x1b[>1;3m'],
    ['\x1b[>4;2m\x1b[>m', '\x1b[>4m'],
    ['\x1b[22;0t\x1b[22;2t', '\x1b[22;0t\x1b[22;0t'],
    ['\x1b[?1h\x1b=\x1b[5 q\x1b[2 q', '\x1b[?1h\x1b=\x1b[2 q'],
    ['\x1b=\x1b>', ''],
    ['\x1b[3;20r', '\x1b[3;20r\x1b[20H\r\n'],
    ['\x1b[?1049h\x1b[?25l\x1b[3;20r', '\x1b[?1049h\x1b[3;20r\x1b[20H\r\n\x1b[?25l'],
    ['\x1b[3r', '\x1b7\x1b[3r\x1b8'],
    ['\x1b[1;24r', ''],
    ['\x1b[5;24r\x1b[7;3r\x1b[4;4r', '\x1b7\x1b[5r\x1b8'],
    ['\x1b[3;20r\x1b[r', ''],
    ['\x1b[3;20r\x1b[!p', ''],
    ['\x1b[3;20r\x1bc', ''],
  ] as const) {
    const out = guestOutput();
    out.push(Buffer.from(written));
    assert.equal(out.again(24), again, JSON.stringify(written));
    // What takes it away and gives it back can be done any number of times.
    assert.equal(out.again(24), again);
  }
  const reader = guestOutput({ mode: 'read-only' });
  reader.push(Buffer.from('\x1b[?25;1000;2004l\x1b[?7;1000;2004;1h'));
  assert.equal(reader.again(24), '\x1b[?25l', 'not what was filtered out');
  const out = guestOutput();
  out.push(Buffer.from('\x1b[3;20r'));
  out.resized();
  assert.equal(out.again(24), '', 'terminals forget it when the window has another size');
});

test('who has not seen the guest undoes the same', () => {
  const undone = guestOutput({ tint, allow: new Set(reaches) }).endOfAny();
  const out = guestOutput({ allow: new Set(reaches) });
  out.push(Buffer.from('\x1b[>4;2m\x1b]11;red\x07\x1b[=3u\x1b[?1049h\x1b[=3u\x1b[?1006h'));
  // The alternate screen is left in the way that needs no saved cursor.
  const [before = '', after = ''] = out.end().split('\x1b[?1049l');
  for (const part of before.slice(1).split(/(?=\x1b)/))
    assert.ok(undone.split('\x1b[?1047l')[0]?.includes(part));
  for (const part of after.split(/(?=\x1b)/)) assert.ok(undone.split('\x1b[?1047l')[1]?.includes(part), part);
  assert.match(undone, /\x1b\[0m\x1b\[J$/);
  assert.doesNotMatch(guestOutput().endOfAny(), /\x1b\](?!8;;)/);
  // vmspawn-front has room for 4096 bytes.
  assert.ok(undone.length < 1000);
});

test('nothing makes the terminal answer in read-only mode, nor from the end on', () => {
  const questions =
    '\x1b[c\x1b[6n\x1b[>c\x1b[?1$p\x1b[18t\x1bZ\x1b]11;?\x07\x1bP+q544e\x1b\\\x1b[?2004h\x1b[>1u\x1b[?u';
  assert.equal(output(`a${questions}b`), `a${questions}b`);
  assert.equal(output(`a${questions}b`, { mode: 'read-only' }), 'ab');
  const out = guestOutput();
  out.mode = 'read-only';
  assert.equal(out.push(Buffer.from(`a${questions}b`)).toString(), 'ab');
});

test('what is shown once more asks nothing, but leaves the keyboard as the guest wants it', () => {
  const modes = '\x1b[?2004h\x1b[>1u\x1b[?1;1000h\x1b=';
  const out = guestOutput({ mode: 'replay' });
  assert.equal(out.push(Buffer.from(`a\x1b[6n\x1b[c${modes}\x1b]11;?\x07b\x1b[6`)).toString(), `a${modes}b`);
  out.mode = 'interactive';
  assert.equal(out.push(Buffer.from('n\x1b[c')).toString(), '\x1b[6n\x1b[c');
  assert.equal(out.again(24), '\x1b[>1u\x1b[?2004h\x1b[?1h\x1b[?1000h\x1b=');
  // To be told sizes means to be told the first one at once.
  const reports = '\x1b[?2048h';
  assert.equal(output(`a${reports}b`, { mode: 'replay' }), 'ab');
  const before = out.questions;
  assert.equal(out.push(Buffer.from(reports)).toString(), reports);
  assert.equal(out.questions, before + 1);
});

const options = fc.record({
  tint: fc.constantFrom(null, tint),
  mode: fc.constantFrom('interactive' as const, 'replay' as const, 'read-only' as const),
  allow: fc.subarray([...reaches]).map((names) => new Set(names)),
});

test('what comes out does not depend on the chunks', () => {
  fc.assert(
    fc.property(chunkedStream, options, ({ whole, chunks }, how) => {
      const one = guestOutput(how);
      const many = guestOutput(how);
      const pieces = Buffer.concat(chunks.map((chunk) => many.push(Buffer.from(chunk))));
      assert.equal(pieces.toString('latin1'), one.push(whole).toString('latin1'));
      assert.equal(many.end(), one.end());
    }),
    { numRuns: 2000 },
  );
});

test('filtering again removes nothing more', () => {
  fc.assert(
    fc.property(chunkedStream, options, ({ whole }, how) => {
      const once = guestOutput({ ...how, tint: null }).push(whole);
      const twice = guestOutput({ ...how, tint: null }).push(once);
      assert.equal(twice.toString('latin1'), once.toString('latin1'));
    }),
    { numRuns: 1000 },
  );
});
