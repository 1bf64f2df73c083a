import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestOutput } from '../../src/console/guest-output.ts';
import type { Reach } from '../../src/console/terminal-reach.ts';
import { reaches } from '../../src/settings/defaults.ts';

/** What terminals answer, by what has to be allowed for it. */
const questions: Readonly<Record<Reach | 'nothing', readonly string[]>> = {
  nothing: [
    // DA1, DA2, DA3, DECID, DECREQTPARM, XTVERSION
    ...[
      '\x1b[c',
      '\x1b[0c',
      '\u009bc',
      '\x1b[>c',
      '\x1b[>0c',
      '\x1b[=c',
      '\x1bZ',
      '\x1b[x',
      '\x1b[>q',
      '\x1b[>0q',
    ],
    // DSR: the terminal, the cursor, printer, keys, locator, macros, memory, colour scheme
    ...['\x1b[5n', '\x1b[6n', '\x1b[?6n', '\x1b[?15n', '\x1b[?25n', '\x1b[?26n', '\x1b[?55n', '\x1b[?62n'],
    ...['\x1b[?63;1n', '\x1b[?75n', '\x1b[?85n', '\x1b[?996n'],
    // DECRQM, of both kinds; the protocol of the keyboard, of modified keys; XTSMGRAPHICS; XTREPORTSGR
    ...['\x1b[4$p', '\x1b[?2026$p', '\x1b[?u', '\x1b[?4m', '\x1b[?1;1S', '\x1b[1;1;2;2#|', '\x1b[#R'],
    // Sizes and state of the window
    ...[
      '\x1b[11t',
      '\x1b[13t',
      '\x1b[13;2t',
      '\x1b[14t',
      '\x1b[14;2t',
      '\x1b[15t',
      '\x1b[16t',
      '\x1b[18t',
      '\x1b[19t',
    ],
    // Colours: of the palette, special ones, text, background, cursor, pointer, highlight
    ...['4;1;?', '4;1;?;2;?', '5;0;?', '10;?', '11;?', '12;?', '13;?', '14;?', '17;?', '19;?', '10;?;?'].map(
      (body) => `\x1b]${body}\x07`,
    ),
    '\u009d11;?\u009c',
    // XTGETTCAP
    ...['\x1bP+q544e\x1b\\', '\x1bP+q544e;524742\x1b\\'],
    // The first report comes at once.
    ...['\x1b[?2048h', '\x1b[?1004h', '\x1b[?2031;25h'],
    // What nobody knows may be one.
    ...['\x1b[1;2,y', '\x1b[?9z'],
  ],
  clipboard: [
    ...[
      '\x1b]52;c;?\x07',
      '\x1b]52;;?\x1b\\',
      '\x1b]5522;type=read;Lg==\x1b\\',
      '\x1b]5522;type=write\x1b\\',
    ],
    ...[`\x1b]5522;type=wdata:mime=dGV4dA==;${'A'.repeat(9000)}\x1b\\`],
  ],
  colours: ['\x1b]4;1;#fff;2;?\x07', '\x1b]11;#000;?\x07', '\x1b]21;background=?\x1b\\'],
  files: ['\x1b]5113;ac=send;id=1\x1b\\', '\x1b_Gi=1,t=f,a=q;L2V0Yw==\x1b\\', '\x1b_Gi=1,t=t;L3RtcA==\x1b\\'],
  graphics: [
    ...['\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\', '\x1b_Ga=T,f=100;QQ==\x1b\\', '\x1b_Ga=d\x1b\\'],
    `\x1b_Ga=T,f=100;${'A'.repeat(9000)}\x1b\\`,
  ],
  hyperlinks: [],
  notifications: [
    ...[
      '\x1b]99;i=1:p=?;\x1b\\',
      '\x1b]99;p=?\x07',
      '\x1b]99;i=1:p=alive;\x1b\\',
      '\x1b]99;i=1:a=report;hello\x1b\\',
    ],
    ...['\x1b]99;a=focus,report:d=1;hello\x1b\\', '\x1b]99;i=1:c=1;hello\x1b\\'],
  ],
  title: [],
  window: [],
  'working-directory': [],
};

function shown(text: string, mode: 'interactive' | 'replay' | 'read-only', allow: readonly Reach[]) {
  const out = new GuestOutput({ tint: null, mode, allow: new Set(allow) });
  const output = out.push(Buffer.from(text)).toString();
  return { output, questions: out.questions };
}

/** As the filter writes it. */
function sevenBit(text: string): string {
  return text
    .replace(/\u009b/g, '\x1b[')
    .replace(/\u009d/g, '\x1b]')
    .replace(/\u009c/g, '\x1b\\');
}

for (const [reach, sequences] of Object.entries(questions)) {
  test(`what the terminal answers is counted, and goes only to one that is listened to: ${reach}`, () => {
    const others = reaches.filter((name) => name !== reach);
    for (const sequence of sequences) {
      const name = JSON.stringify(sequence.slice(0, 60));
      const asked = { output: sevenBit(sequence), questions: 1 };
      assert.deepEqual(shown(sequence, 'interactive', reaches), asked, name);
      if (reach === 'nothing') assert.deepEqual(shown(sequence, 'interactive', []), asked, name);
      else assert.deepEqual(shown(sequence, 'interactive', others), { output: '', questions: 0 }, name);
      // Of a list of modes others go by, and in what is shown once more those that stay.
      if (/h$/.test(sequence)) continue;
      for (const mode of ['read-only', 'replay'] as const)
        assert.deepEqual(shown(sequence, mode, reaches), { output: '', questions: 0 }, name);
    }
  });
}

test('a guest does not ask what marks the end of all answers', () => {
  for (const attributes of ['\x1b[c', '\x1b[0c', '\x1b[00;1c', '\x1bZ', '\u009bc', '\u009a'])
    for (const status of ['\x1b[5n', '\x1b[05n', '\x1b[5;1n', '\u009b5n'])
      for (const between of [
        '',
        'text',
        '\x1b[?996n',
        '\x1b[>c',
        '\x1b[?1004h',
        '\x1b]11;?\x07',
        '\x1b[5n',
      ]) {
        const { output } = shown(`${attributes}${between}${status}`, 'interactive', reaches);
        const name = JSON.stringify([attributes, between, status]);
        assert.match(output, /^\x1b(?:\[[0-9;]*c|Z)/, name);
        assert.doesNotMatch(output, /\x1b\[[0-9;]*n/, name);
      }
  for (const text of ['\x1b[5n\x1b[c', '\x1b[c\x1b[6n\x1b[5n', '\x1b[>c\x1b[5n\x1b[5n'])
    assert.equal(shown(text, 'interactive', reaches).output, text);
  const out = new GuestOutput({ tint: null, mode: 'replay', allow: new Set() });
  assert.equal(out.push(Buffer.from('\x1b[c')).toString(), '');
  out.mode = 'interactive';
  assert.equal(out.push(Buffer.from('\x1b[5n')).toString(), '\x1b[5n');
});

test('questions whose answers a guest could choose go nowhere, and count for none', () => {
  for (const sequence of [
    ...[
      '\x05',
      '\x1bP$qm\x1b\\',
      '\x1bP$q"p\x1b\\',
      '\x1b[20t',
      '\x1b[21t',
      '\x1b[1$w',
      '\x1b[2$w',
      '\x1b[1;1;1;1;5;5*y',
    ],
    ...[
      '\x1b[1$u',
      '\x1b]0;?\x07',
      '\x1b]2;?\x07',
      '\x1b]50;?\x07',
      '\x1b]22;?\x07',
      '\x1b]1337;ReportCellSize\x07',
    ],
    ...[
      '\x1b]1337;ReportVariable=x\x07',
      '\x1b]702;?\x07',
      '\x1bP+Q544e\x1b\\',
      '\x1bP+qzz\x1b\\',
      '\x1bP@kitty-cmd{}\x1b\\',
    ],
  ])
    assert.deepEqual(
      shown(sequence, 'interactive', reaches),
      { output: '', questions: 0 },
      JSON.stringify(sequence),
    );
});

test('what is answered by nobody counts for none', () => {
  for (const sequence of [
    ...[
      'text',
      '\x1b[1;31m',
      '\x1b[2J',
      '\x1b[?25l',
      '\x1b[?1004l',
      '\x1b[?2004h',
      '\x1b[>1u\x1b[<u',
      '\x1b[>4;2m',
    ],
    ...[
      '\x1b]52;c;QQ==\x07',
      '\x1b]99;;what?\x1b\\',
      '\x1b]9;what?\x07',
      '\x1b]777;notify;a;b?\x07',
      '\x1b]11;#000\x07',
    ],
    ...[
      '\x1b]8;;http://x/?y\x07',
      '\x1b]133;A\x07',
      '\x1b]7;file://h/?\x07',
      '\x1b]1337;File=name=QQ==:QQ==\x07',
    ],
    ...['\x1bPq#0~\x1b\\', '\x1b[22;0t\x1b[23;0t', '\x1b[8;24;80t', '\x1b]0;title\x07', '\x1b7\x1b8\x1bM'],
  ]) {
    const { output, questions: count } = shown(sequence, 'interactive', reaches);
    assert.equal(output, sequence);
    assert.equal(count, 0, JSON.stringify(sequence));
  }
});
