import assert from 'node:assert/strict';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { execaSync } from 'execa';
import { asset } from '../../src/assets.ts';
import { pattern } from './pattern.ts';
import { fixture, Scratch, Terminal, until } from './session.ts';

/** Flags of the open file behind standard input of a process, as /proc shows them (octal). */
function flagsOf(pid: number): string {
  return /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/0`, 'latin1'))?.[1] ?? '';
}

/** Runs the fixture between two looks at the terminal's modes and flags. */
function script(...words: string[]): string {
  return `trap : HUP INT QUIT TERM
    stty -g >before; grep flags /proc/self/fdinfo/0 >>before
    '${process.execPath}' '${fixture}' ${words.join(' ')} 2>errors
    echo $? >status
    stty -g >after; grep flags /proc/self/fdinfo/0 >>after`;
}

/** What the shell is given next. */
const readLine = 'read -r line; echo "line=$line"';

function assertRestored(scratch: Scratch): void {
  assert.match(scratch.text('before'), /^[0-9a-f:]+\nflags:/);
  assert.equal(scratch.text('after'), scratch.text('before'));
}

test('all bytes reach the guest as they are; to the terminal go all but what is not for it, and line ends too', async () => {
  using scratch = new Scratch();
  await using terminal = new Terminal(script('interactive', 'echo'), scratch);
  await terminal.shows('READY\r\n');
  assert.equal(terminal.output.includes('\r\r\n'), false);
  assert.equal(Number.parseInt(flagsOf(terminal.pid), 8) & 0o4000, 0, 'O_NONBLOCK on what the shell shares');
  const all = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  // 4 (Ctrl-D) comes last, because it ends the guest.
  const sent = Buffer.concat([all.subarray(5), all.subarray(0, 5)]);
  const at = terminal.output.length;
  terminal.write(sent);
  await terminal.over();
  const received = scratch.lines().map((line) => String(line['received'] ?? ''));
  assert.equal(received.join(''), sent.toString('hex'));
  // ENQ, which asks for an answer, an escape sequence that nobody knows (ESC space !), and half of a control of UTF-8.
  const shown = sent.filter((byte) => ![0x05, 0x1b, 0x20, 0x21, 0xc2].includes(byte));
  assert.deepEqual(terminal.output.subarray(at, at + shown.length), Buffer.from(shown));
  assert.equal(scratch.text('status'), '0\n');
  assertRestored(scratch);
});

test('Ctrl-] three times ends, even when the guest does not read; one alone reaches it', async () => {
  for (const guest of ['echo', 'stuck']) {
    using scratch = new Scratch();
    await using terminal = new Terminal(script('interactive', guest), scratch);
    await terminal.shows('READY');
    if (guest === 'stuck') {
      // Far more than all buffers on the way hold.
      for (let count = 0; count < 50; count += 1) terminal.write(Buffer.alloc(64 * 1024, 0x78));
    } else {
      terminal.write('\x1da');
      await terminal.shows('\x1da');
    }
    terminal.write('\x1d\x1d\x1d');
    await terminal.over();
    assert.deepEqual((await scratch.line('end'))['end'], 'hotkey');
    assert.equal(scratch.text('status'), '0\n');
    assertRestored(scratch);
  }
});

for (const [signal, status] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
  ['SIGQUIT', 131],
] as const) {
  test(`${signal}: the terminal is as before, and the process dies of the signal`, async () => {
    using scratch = new Scratch();
    await using terminal = new Terminal(`ulimit -c 0; ${script('interactive', 'full-screen')}`, scratch);
    await terminal.shows('EDITOR');
    process.kill(Number((await scratch.line('started'))['started']), signal);
    await terminal.over();
    assert.equal(scratch.text('status'), `${status}\n`);
    assertRestored(scratch);
    const said = terminal.output.toString('latin1');
    for (const undone of ['\x1b[?1049l', '\x1b[?1000l', '\x1b[?2004l', '\x1b[?1l', '\x1b[?25h']) {
      assert.ok(said.includes(undone), JSON.stringify(undone));
    }
  });
}

for (const [way, status] of [
  ['exit', 3],
  ['throw', 1],
] as const) {
  test(`the terminal is as before after: ${way}`, async () => {
    using scratch = new Scratch();
    const command = script('interactive', 'echo', way).replace('2>errors', '');
    await using terminal = new Terminal(command, scratch);
    await terminal.shows('READY');
    terminal.write('\x1d\x1d\x1d');
    await terminal.over();
    assert.equal(scratch.text('status'), `${status}\n`);
    assertRestored(scratch);
    assert.ok(terminal.output.includes('\x1b[!p'));
    // Printed after the terminal got its line ends back.
    assert.equal(terminal.output.includes('Error: a defect\r\n'), way === 'throw');
  });
}

test('stopped from outside the terminal is as before, continued it is raw again', async () => {
  using scratch = new Scratch();
  const job = `set -m; stty -g >before; grep flags /proc/self/fdinfo/0 >>before
    LOOK=yes '${process.execPath}' '${fixture}' interactive echo 2>errors
    stty -g >stopped; fg >/dev/null; stty -g >after; grep flags /proc/self/fdinfo/0 >>after`;
  await using terminal = new Terminal(job, scratch);
  await terminal.shows('\x1b[c');
  terminal.write('\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?6c');
  await terminal.shows('READY');
  const pid = Number((await scratch.line('started'))['started']);
  process.kill(pid, 'SIGTSTP');
  await until(() => scratch.text('stopped').includes('\n'), 'the shell to look at the terminal');
  assert.equal(scratch.text('stopped'), scratch.text('before').split('flags')[0]);
  const slave = readlinkSync(`/proc/${terminal.pid}/fd/0`);
  const modes = () => `${execaSync('stty', ['-g', '-F', slave]).stdout}\n`;
  await until(() => modes() !== scratch.text('stopped'), 'a raw terminal');
  terminal.write('\r\x03');
  // Still in the line discipline's hands they would come as \n and a signal.
  const received = () => scratch.lines().map((line) => String(line['received'] ?? ''));
  await until(() => received().join('') === '0d03', 'raw bytes');
  terminal.write('\x04');
  await terminal.over();
  assertRestored(scratch);
  // Title and tint go and come with it.
  const look = terminal.output.toString('latin1').match(/<on>|<off>|\x1b\[48;2;[0-9;]+m\x1b\[J/g) ?? [];
  assert.deepEqual(
    look.map((one) => one.replace(/\x1b.*/, 'tint')),
    ['<on>', 'tint', '<off>', '<on>', 'tint', '<off>'],
  );
});

test('several stops at a time are one; in the end of each a full-screen guest has its modes again, and is to draw anew', async () => {
  using scratch = new Scratch();
  const front = asset('dist', 'vmspawn-front');
  const job = `set -m; stty -g >before
    '${front}' '${process.execPath}' '${fixture}' interactive full-screen 2>errors
    stty -g >stopped0; stty rows 20; fg >/dev/null
    stty -g >stopped1; fg >/dev/null; stty -g >after`;
  await using terminal = new Terminal(job, scratch);
  await terminal.shows('EDITOR');
  const pid = Number((await scratch.line('started'))['started']);
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
  const slave = readlinkSync(`/proc/${terminal.pid}/fd/0`);
  const modes = () => `${execaSync('stty', ['-g', '-F', slave]).stdout}\n`;
  const raw = modes();
  for (const round of [0, 1]) {
    const at = terminal.output.length;
    if (round === 0) process.kill(-group, 'SIGTSTP');
    // Of two from outside the kernel may make one.
    else process.kill(pid, 'SIGUSR2');
    await until(() => scratch.text(`stopped${round}`).includes('\n'), 'the shell to look at the terminal');
    assert.equal(scratch.text(`stopped${round}`), scratch.text('before'));
    await until(() => modes() === raw, 'a raw terminal');
    const said = () => terminal.output.toString('latin1', at);
    await until(
      () =>
        /\x1b\[<1u\x1b\[\?1049l.*\x1b\[\?25h.*\x1b\[\?1049h.*\x1b\[\?2004h.*\x1b=\x1b\[5 q\x1b\[>1u/s.test(
          said(),
        ),
      'its modes',
    );
    // It is stopped once only, so that the size which is told last is the true one.
    const sizes = () => scratch.lines().filter((line) => 'size' in line);
    await until(() => sizes().length === 3 + 2 * round, 'two sizes');
  }
  const sizes = scratch.lines().flatMap((line) => line['size'] ?? []);
  assert.equal(sizes.join(' '), '24x80 19x80 20x80 19x80 20x80');
  terminal.write('\x1d\x1d\x1d');
  await terminal.shows('\x1b[c\x1b[5n');
  terminal.write('\x1b[?62;22c\x1b[0n');
  await terminal.over();
  // Not the flags: the shell has no look at these.
  assert.equal(scratch.text('after'), scratch.text('before'));
});

test('the terminal is asked before anything is shown; an answer that comes at the end is nobody’s input', async () => {
  using scratch = new Scratch();
  const job = `export LOOK=yes; ${script('interactive', 'echo')}; ${readLine}`;
  await using terminal = new Terminal(job, scratch);
  await terminal.shows('\x1b[c');
  assert.equal(terminal.output.includes('READY'), false);
  // It ends by the hotkey while the terminal takes its time.
  terminal.write('\x1d\x1d\x1d');
  await scratch.line('end');
  terminal.write('\x1b]11;rgb:0000/00');
  terminal.write('00/0000\x1b\\\x1b[?6c');
  await until(() => scratch.text('after').includes('flags'), 'the end');
  terminal.write('typed\r');
  await terminal.over();
  assert.match(terminal.output.toString('latin1'), /line=typed\r/);
  assertRestored(scratch);
});

test('what the guest asks at its end is answered to nobody', async () => {
  using scratch = new Scratch();
  const job = `${script('interactive', 'asking')}; ${readLine}`;
  await using terminal = new Terminal(job, scratch);
  await terminal.shows('READY');
  terminal.write('\x1b[1;1R');
  await terminal.shows('BYE\x1b[c\x1b[5n');
  // The guest's DA1 comes before our own.
  terminal.write('\x1b[?62;22c\x1b]11;rgb:0000/00');
  terminal.write('00/0000\x1b\\\x1b[?62;2');
  terminal.write('2c\x1b[0n');
  await until(() => scratch.text('after').includes('flags'), 'the end');
  terminal.write('typed\r');
  await terminal.over();
  assert.match(terminal.output.toString('latin1'), /line=typed\r/);
  const received = scratch.lines().map((line) => String(line['received'] ?? ''));
  assert.equal(received.join(''), Buffer.from('\x1b[1;1R').toString('hex'));
  assertRestored(scratch);
});

test('what the terminal reports until it is told not to is nobody’s input', async () => {
  using scratch = new Scratch();
  const job = `${script('interactive', 'full-screen')}; ${readLine}`;
  await using terminal = new Terminal(job, scratch);
  await terminal.shows('EDITOR');
  terminal.write('\x1d\x1d\x1d');
  await terminal.shows('\x1b[?1000l\x1b[c\x1b[5n');
  terminal.write('\x1b[M !!\x1b[?62;22c\x1b[0n');
  await until(() => scratch.text('after').includes('flags'), 'the end');
  terminal.write('typed\r');
  await terminal.over();
  assert.match(terminal.output.toString('latin1'), /line=typed\r/);
  assertRestored(scratch);
});

for (const [guest, words] of [
  ['full-screen', ['EDITOR', '\x1b[M !!']],
  ['asking', ['READY', '\x1b[1;1R']],
  ['echo', ['READY', 'for the shell ']],
] as const) {
  test(`what has come when it ends at once is ${guest === 'echo' ? 'for the shell' : 'nobody’s input'}: ${guest}`, async () => {
    using scratch = new Scratch();
    const job = `export GO=go; ${script('interactive', guest, 'exit')}; ${readLine}`;
    await using terminal = new Terminal(job, scratch);
    await terminal.shows(words[0]);
    terminal.write('\x1d\x1d\x1d');
    await scratch.line('end');
    // It is not read any more.
    terminal.write(words[1]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    writeFileSync(scratch.path('go'), '');
    await until(() => scratch.text('after').includes('flags'), 'the end');
    terminal.write('typed\r');
    await terminal.over();
    const line = guest === 'echo' ? `${words[1]}typed` : 'typed';
    assert.ok(terminal.output.includes(`line=${line}\r`));
    assertRestored(scratch);
  });
}

test('a dumb terminal is sent no sequence, whatever ends us', async () => {
  for (const [front, signal] of [
    ['', 'SIGTERM'],
    [asset('dist', 'vmspawn-front'), 'SIGKILL'],
  ] as const) {
    using scratch = new Scratch();
    const job = `ulimit -c 0; export TERM=dumb; ${script('interactive', 'echo')}`;
    await using terminal = new Terminal(
      front === '' ? job : job.replace(/^ *'(?=.*forwarder)/m, (start) => `'${front}' ${start}`),
      scratch,
    );
    await terminal.shows('READY\r\n');
    process.kill(Number((await scratch.line('started'))['started']), signal);
    await terminal.over();
    assert.equal(scratch.text('status'), signal === 'SIGTERM' ? '143\n' : '137\n');
    assertRestored(scratch);
    assert.doesNotMatch(terminal.output.toString('latin1'), /[\x1b\x18]/);
  }
});

test('killed in the middle: the titles are popped, and what the terminal still answers is nobody’s input', async () => {
  using scratch = new Scratch();
  const job = `ulimit -c 0; ${script('interactive', 'curious')}; ${readLine}`.replace(
    /^ *'(?=.*forwarder)/m,
    (start) => `'${asset('dist', 'vmspawn-front')}' ${start}`,
  );
  await using terminal = new Terminal(job, scratch);
  await terminal.shows('READY\r\n');
  await terminal.shows('\x1b[6n');
  process.kill(Number((await scratch.line('started'))['started']), 'SIGKILL');
  await terminal.shows('\x1b[23;0t\x1b[23;0t\r\n\x1b[c\x1b[5n');
  assert.equal(terminal.output.toString('latin1').match(/\x1b\[23;0t/g)?.length, 3);
  assert.equal(scratch.text('status'), '');
  terminal.write('\x1b[1;1R\x1b[?62;22c\x1b[0n');
  await until(() => scratch.text('after').includes('flags'), 'the end');
  terminal.write('typed\r');
  await terminal.over();
  assert.match(terminal.output.toString('latin1'), /line=typed\r/);
  assert.equal(scratch.text('status'), '137\n');
  assertRestored(scratch);
});

for (const [way, status] of [
  ['exit', 3],
  ['leave', 0],
] as const) {
  test(`a terminal that is full when it is left is as before once it goes on: ${way}`, async () => {
    using scratch = new Scratch();
    await using terminal = new Terminal(script('interactive', 'overrun', way), scratch);
    await terminal.shows('READY\r\n');
    terminal.pause();
    // Enough for the guest to fill all that is on the way, and below for the time in which it is still shown.
    await new Promise((resolve) => setTimeout(resolve, 300));
    terminal.write('\x1d\x1d\x1d');
    await scratch.line('end');
    await new Promise((resolve) => setTimeout(resolve, 300));
    terminal.resume();
    await terminal.over();
    assert.equal(scratch.text('status'), `${status}\n`);
    assertRestored(scratch);
    const said = terminal.output.toString('latin1').slice(-300);
    for (const undone of ['\x1b[?2004l', '\x1b[?25h', '\x1b[23;0t'])
      assert.ok(said.includes(undone), JSON.stringify(undone));
  });
}

test('read-only: nothing is read, the hotkey neither, Ctrl-C is a signal', async () => {
  using scratch = new Scratch();
  await using terminal = new Terminal(script('read-only', 'echo'), scratch);
  await terminal.shows('READY\r\n');
  assert.equal(terminal.output.includes('\r\r\n'), false);
  terminal.write('abc\n\x1d\x1d\x1d\n');
  await terminal.shows('abc');
  terminal.write('\x03');
  await terminal.over();
  assert.equal(scratch.text('status'), '130\n');
  assert.deepEqual(
    scratch.lines().filter((line) => 'received' in line || 'end' in line),
    [],
  );
  assertRestored(scratch);
});

test('a signal that somebody else handles is left to them', async () => {
  using scratch = new Scratch();
  await using terminal = new Terminal(script('interactive', 'echo', 'listen'), scratch);
  await terminal.shows('READY');
  process.kill(Number((await scratch.line('started'))['started']), 'SIGTERM');
  await terminal.over();
  assert.equal(scratch.text('status'), '0\n');
  assert.deepEqual(
    scratch.lines().filter((line) => 'handled' in line || 'end' in line),
    [{ handled: true }, { end: 'console-closed' }],
  );
  assertRestored(scratch);
});

test('started in the background it waits for the foreground; read-only it runs and leaves the modes alone', async () => {
  using scratch = new Scratch();
  const command = `'${process.execPath}' '${fixture}'`;
  const job = `set -m; stty -g >before; grep flags /proc/self/fdinfo/0 >>before
    ${command} read-only flood:100 2>errors & wait
    ${command} interactive echo 2>>errors &
    until grep -q '^State:.T' /proc/$!/status; do sleep 0.05; done
    stty -g >stopped; fg >/dev/null
    stty -g >after; grep flags /proc/self/fdinfo/0 >>after`;
  await using terminal = new Terminal(job, scratch);
  await terminal.shows('READY\r\n');
  assert.equal(scratch.text('stopped'), scratch.text('before').split('flags')[0]);
  assert.deepEqual(
    scratch.lines().find((line) => 'end' in line),
    { end: 'console-closed' },
  );
  terminal.write('\x04');
  await terminal.over();
  assertRestored(scratch);
});

test('where the terminal cannot be opened anew, its flags stay untouched as well', async () => {
  for (const [prefix, guest] of [
    ['', 'echo'],
    // Without a controlling terminal there is no /dev/tty either.
    ['setsid -w', 'echo'],
    ['setsid -w', 'flood:300000'],
  ] as const) {
    using scratch = new Scratch();
    await using terminal = new Terminal(
      script('interactive', guest).replace(/^ *'.*$/m, (line) => `FOREIGN=1 ${prefix} ${line}`),
      scratch,
    );
    if (guest === 'echo') {
      await terminal.shows('READY\r\n');
      assert.equal(Number.parseInt(flagsOf(terminal.pid), 8) & 0o4000, 0);
      terminal.write('\r\x03\xff\x04');
    }
    await terminal.over();
    if (guest === 'echo') {
      const received = scratch.lines().map((line) => String(line['received'] ?? ''));
      assert.equal(received.join(''), Buffer.from('\r\x03\xff\x04').toString('hex'));
    } else {
      assert.ok(terminal.output.subarray(0, 300_000).equals(pattern(0, 300_000)));
    }
    assert.equal(scratch.text('status'), '0\n');
    assertRestored(scratch);
  }
});

test('keepTerminalMode puts back what QEMU leaves behind', async () => {
  for (const way of ['dispose', 'SIGHUP']) {
    using scratch = new Scratch();
    const keeper = join(__dirname, 'fixtures', 'keeper.cjs');
    const command = script()
      .replace(fixture, keeper)
      .replace(/2>errors/, `${way} 2>errors`);
    await using terminal = new Terminal(command, scratch);
    const { modes } = await scratch.line('modes');
    await scratch.line('started');
    assert.notEqual(modes, scratch.text('before').split('\n')[0]);
    assert.notEqual(Number.parseInt(flagsOf(terminal.pid), 8) & 0o4000, 0);
    await terminal.over();
    assert.equal(scratch.text('status'), way === 'dispose' ? '137\n' : '129\n');
    assertRestored(scratch);
  }
});
