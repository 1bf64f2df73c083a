import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestOutput } from '../../src/console/guest-output.ts';
import { allowedByDefault, type Reach } from '../../src/console/terminal-reach.ts';
import { reaches } from '../../src/settings/defaults.ts';

function filtered(
  text: string,
  allow: Iterable<Reach> = allowedByDefault,
  mode: 'interactive' | 'read-only' = 'interactive',
) {
  return new GuestOutput({ tint: null, mode, allow: new Set(allow) }).push(Buffer.from(text)).toString();
}

const file = Buffer.from('/etc/passwd').toString('base64');

/** What needs which permission, and nothing else. */
const guarded: Readonly<Record<Reach, readonly string[]>> = {
  clipboard: [
    '\x1b]52;c;QQ==\x07',
    '\x1b]52;;QQ==\x1b\\',
    '\x1b]052;c;QQ==\x07',
    '\x1b]52;c;?\x07',
    `\x1b]52;c;${'A'.repeat(9000)}\x07`,
  ],
  colours: [
    '\x1b]4;1;#fff\x07',
    '\x1b]11;#000000\x1b\\',
    '\x1b]104\x07',
    '\x1b]110\x07',
    '\x1b]4;1;?;2;#fff\x07',
  ],
  files: [
    `\x1b]1337;File=name=${file}:QQ==\x07`,
    '\x1b]5113;ac=send\x1b\\',
    `\x1b_Gt=f;${file}\x1b\\`,
    `\x1b_Ga=T,t=s;${file}\x1b\\`,
  ],
  graphics: [
    '\x1bPq#0~\x1b\\',
    '\x1bP0;1;0q#0\r\n~\x1b\\',
    '\x1b_Ga=T,f=100;QQ==\x1b\\',
    '\x1b_Ga=T,t=d;QQ==\x1b\\',
    '\x1b[?80l\x1b[?1070h\x1b[?8452h',
    `\x1bPq${'~'.repeat(9000)}\x1b\\`,
  ],
  hyperlinks: ['\x1b]8;;https://example.org/\x1b\\', '\x1b]8;;\x07'],
  notifications: ['\x1b]9;hello\x07', '\x1b]777;notify;a;b\x07', '\x1b]99;;hello\x1b\\', '\x1b]9;4;1;50\x07'],
  title: ['\x1b]0;name\x07', '\x1b]2;näme\x1b\\', '\x1b]1;\x07', '\x1b[22;0t\x1b[23;0t'],
  window: ['\x1b[8;50;132t', '\x1b[2t', '\x1b[9;1t', '\x1b[48t', '\x1b[?40h', '\x1b[?3h', '\x1b[132$|'],
  'working-directory': ['\x1b]7;file://host/etc\x07'],
};

test('what reaches out of the window needs its own permission', () => {
  for (const [reach, sequences] of Object.entries(guarded)) {
    for (const sequence of sequences) {
      const others = reaches.filter((name) => name !== reach);
      assert.equal(
        filtered(`a${sequence}b`, others),
        'ab',
        `${reach} ${JSON.stringify(sequence.slice(0, 40))}`,
      );
      assert.equal(
        filtered(`a${sequence}b`, [reach as Reach]),
        `a${sequence}b`,
        `${reach} ${JSON.stringify(sequence.slice(0, 40))}`,
      );
    }
  }
});

test('some things are never for a guest', () => {
  for (const sequence of [
    ...[
      '\x05',
      '\x1b[20t',
      '\x1b[21t',
      '\x1bP$qm\x1b\\',
      '\x1b[1;1;1;1;5;5*y',
      '\x1b[1$w',
      '\x1bP0;1|17/17\x1b\\',
      '\x1b[#S',
    ],
    ...[
      '\x1b[5i',
      '\x1b[?5i',
      '\x1b[?2l',
      '\x1b[?38h',
      '\x1b[?46h',
      '\x1b%@',
      '\x1b G',
      '\x1b[62;1"p',
      '\x1b[2h',
      '\x1b[12l',
    ],
    ...[
      '\x1bPtmux;x\x1b\\',
      '\x1b]50;?\x07',
      '\x1b]46;/tmp/log\x07',
      '\x1b]1337;ReportVariable=x\x07',
      '\x1b]0;?\x07',
    ],
    ...[
      '\x1bkname\x1b\\',
      '\x1b^private\x1b\\',
      '\x1bXstart\x1b\\',
      '\x1b_other\x1b\\',
      '\x1b]Pff00000',
      '\x1b]x\x07',
      '\x1b[2;1y',
    ],
    ...[
      '\x1b[12;2]',
      "\x1b[1;2'z",
      "\x1b[1;1;5;5'w",
      "\x1b[1'{",
      '\x1b[?1001h',
      '\x1b]8;;http://x\n/\x07',
      '\x1bP{soft font\x1b\\',
      '\x1b[23;0t',
      '\x1b[<u',
      '\x1b[4:3h',
    ],
    // Keyboards and pastes of the terminal's own, and what nobody could put back.
    ...[
      '9001',
      '5522',
      '7727',
      '7765',
      '1007',
      '1046',
      '2001',
      '2003',
      '2005',
      '2006',
      '67',
      '1035',
      '1036',
      '1037',
    ].map((mode) => `\x1b[?${mode}h`),
    ...['1039', '1050', '1053', '1060', '1061', '9001', '36', '95', '99999', '', '09001'].map(
      (mode) => `\x1b[?${mode}l`,
    ),
  ]) {
    assert.equal(filtered(`a${sequence}b`, reaches), 'ab', JSON.stringify(sequence));
  }
});

test('nested in what tmux(1) would pass through nothing gets by', () => {
  const nested = '\x1bPtmux;\x1b\x1b]52;c;QQ==\x07\x1b\\';
  assert.equal(filtered(`a${nested}b`), 'a\x1b\\b');
  assert.equal(filtered('a\x1bPq#0\x1b]52;c;QQ==\x07b'), 'ab');
});

test('what programs need goes by', () => {
  const needed = [
    ...[
      '\x1b[1;31m',
      '\x1b[H\x1b[2J\x1b[3J',
      '\x1b[5;10r',
      '\x1b(0lqk\x1b(B',
      '\x1b7\x1b8',
      '\x1bM',
      '\x1b[?1049h',
      '\x1b[4l',
      '\x1b=\x1b>',
    ],
    ...[
      '\x1b[c',
      '\x1b[6n',
      '\x1b[>c',
      '\x1b[?2026$p',
      '\x1b[14t',
      '\x1b]11;?\x07',
      '\x1b]4;1;?\x07',
      '\x1bP+q544e\x1b\\',
      '\x1b[>q',
    ],
    ...[
      '\x1b[?1000;1006h',
      '\x1b[?2004h',
      '\x1b[ q',
      '\x1b[2 q',
      '\x1b[!p',
      '\x1b[>4;2m',
      '\x1b[>1u\x1b[<u',
      '\x1b[3b',
      '\x1b#8',
    ],
    ...[
      '\x1b]133;A\x07',
      '\x1b]3008;start=1;type=shell\x1b\\',
      '\x1b[?25l',
      '\x1b[?7l',
      '\x1b[4h',
      '\x1b[1"q',
    ],
    ...[
      '1',
      '4',
      '5',
      '6',
      '7',
      '12',
      '25',
      '45',
      '47',
      '66',
      '69',
      '1000',
      '1002',
      '1003',
      '1004',
      '1005',
      '1006',
    ].map((mode) => `\x1b[?${mode}h`),
    ...['1015', '1016', '1034', '1047', '1048', '1049', '2004', '2026', '2027', '2031', '2048'].map(
      (mode) => `\x1b[?${mode}l`,
    ),
  ].join('x');
  assert.equal(filtered(needed), needed);
});

test('titles are bounded and have no control characters, and their stack is balanced', () => {
  assert.equal(filtered('\x1b]0;a\nb\u202ec\x07'), '\x1b]0;abc\x1b\\');
  assert.equal(filtered(`\x1b]2;${'ä'.repeat(1000)}\x07`), `\x1b]2;${'ä'.repeat(250)}\x1b\\`);
  assert.equal(filtered(`a\x1b]2;${'x'.repeat(9000)}\x07b`), 'ab');
  const eightBits = Buffer.from('\x1b]2;a\x9c\x9db\x07', 'latin1');
  const out = new GuestOutput({ tint: null, mode: 'interactive', allow: allowedByDefault });
  assert.equal(out.push(eightBits).toString(), '\x1b]2;a\ufffd\ufffdb\x1b\\');
  assert.equal(filtered('\x1b[22;2t\x1b[23;2t\x1b[23;2t'), '\x1b[22;2t\x1b[23;2t');
});

test('mode lists lose what is not for the guest, or nobody reads', () => {
  assert.equal(filtered('\x1b[?2;25;040;1049h'), '\x1b[?25;1049h');
  assert.equal(filtered('\x1b[2;4h'), '\x1b[4h');
  assert.equal(filtered('\x1b[?25;1000;2004h', allowedByDefault, 'read-only'), '\x1b[?25h');
});

test('a guest pops no keyboard mode of the host', () => {
  assert.equal(filtered('\x1b[<u\x1b[>1u\x1b[>1u\x1b[<5u\x1b[<u'), '\x1b[>1u\x1b[>1u\x1b[<2u');
});

test('a clipboard that may be used is not read without somebody there', () => {
  assert.equal(
    filtered('\x1b]52;c;?\x07\x1b]52;c;QQ==\x07', ['clipboard'], 'read-only'),
    '\x1b]52;c;QQ==\x07',
  );
});

test('the colours that a guest may change are put back', () => {
  const out = new GuestOutput({ tint: null, mode: 'interactive', allow: new Set(['colours'] as const) });
  out.push(Buffer.from('\x1b]11;#000000\x07'));
  assert.ok(out.end().endsWith('\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\'));
});
