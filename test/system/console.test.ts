import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { directBoot, leftovers, program, supervisor } from './harness.ts';
import { Terminal, Tmux } from './terminals.ts';

const control = asset('bin', 'vmspawnctl');
const green = '48;2;12;51;19';

test('a session in a terminal: tint, title, full-screen programs, window size, keys, detach and attach', {
  timeout: 300_000,
}, async () => {
  await using tmux = await Tmux.start();
  const title = await tmux.run('display', '-p', '#{pane_title}');
  await tmux.launch([...directBoot('console'), `--background=${green}`, 'quiet']);
  await tmux.shows(/vmspawn-small: ready/);
  assert.match(await tmux.run('display', '-p', '#{pane_title}'), /^Virtual machine console on /);
  await tmux.type('sh');
  await tmux.shows(/# ?$/m);

  await tmux.type('echo size-$(stty size | tr " " x)');
  await tmux.shows(/^size-30x100$/m);
  await tmux.resize(90, 24);
  // The guest's shell is told by its kernel; a program that runs gets SIGWINCH.
  await tmux.type('until [ "$(stty size)" = "24 90" ]; do sleep 0.1; done; echo resized-$((40+2))');
  await tmux.shows(/^resized-42$/m);

  // What the guest writes is tinted, and its own colours are its own.
  await tmux.type(String.raw`clear; printf 'plain \033[41mred\033[0m again\n'`);
  await tmux.shows(/^plain red again$/m);
  const [line = ''] = (await tmux.screen({ colours: true }))
    .split('\n')
    .filter((text) => /plain.*red.*again/.test(text));
  assert.match(line, new RegExp(`\\x1b\\[${green}mplain .*\\x1b\\[41m *red.*\\x1b\\[${green}m *again`));

  await tmux.type('vi /init');
  await tmux.shows(/^#!\/bin\/sh$/m);
  assert.equal(await tmux.run('display', '-p', '#{alternate_on}'), '1');
  await tmux.type(':q!');
  await tmux.shows(/^plain red again$/m);
  await tmux.type('top');
  await tmux.shows(/^Mem: .*\n.*CPU:/m);
  await tmux.press('q');
  await tmux.type('echo left-$((40+2))');
  await tmux.shows(/^left-42$/m);

  // Stopped twice at a time and continued once, in the middle of an editor.
  await tmux.type('vi /init');
  await tmux.shows(/^#!\/bin\/sh$/m);
  const group = Number(
    /^\d+ \(.*\) \S \d+ (\d+)/.exec(readFileSync(`/proc/${supervisor('console')}/stat`, 'latin1'))?.[1],
  );
  process.kill(-group, 'SIGTSTP');
  process.kill(-group, 'SIGTSTP');
  await tmux.back(128 + constants.signals.SIGSTOP);
  assert.equal(await tmux.run('display', '-p', '#{alternate_on} #{pane_title}'), `0 ${title}`);
  await tmux.launch([], 'fg');
  await tmux.shows(/^#!\/bin\/sh$/m);
  assert.equal(await tmux.run('display', '-p', '#{alternate_on}'), '1');
  await tmux.type(':q!');
  // The size that is not that of the window does not stay.
  await tmux.type('until [ "$(stty size)" = "24 90" ]; do sleep 0.1; done; echo true-$((40+2))');
  await tmux.shows(/^true-42$/m);

  await tmux.press('C-]', 'C-]', 'd');
  await tmux.back(0);
  assert.equal(await tmux.run('display', '-p', '#{pane_title}'), title);
  await tmux.type('clear; echo shell-$((40+2))');
  await tmux.shows(/^shell-42$/m);
  assert.doesNotMatch(await tmux.screen({ colours: true }), new RegExp(green));

  await tmux.launch(['attach', `--background=${green}`, 'console'], control);
  await tmux.shows(/Attached to machine console\./);
  // The two keys before the letter have reached the guest's shell.
  await tmux.press('C-u');
  await tmux.type('echo attached-$(stty size | tr " " x)');
  await tmux.shows(/^attached-24x90$/m);
  await tmux.press('C-]', 'C-]', 'p');
  await tmux.back(0);
  assert.deepEqual(leftovers('console'), []);
});

test('what the terminal is like decides what is done to it beside; a serial port is a console too', {
  timeout: 300_000,
}, async () => {
  const machine = 'console-look';
  const TERM = 'xterm-256color';
  const unset = {
    NO_COLOR: '',
    SYSTEMD_COLORS: '',
    SYSTEMD_TINT_BACKGROUND: '',
    SYSTEMD_ADJUST_TERMINAL_TITLE: '',
  };
  /** What is done, in the order of the first letters: context, title, question for the background, tint. */
  const done = (screen: string) =>
    [
      /\x1b\]3008;start=[0-9a-f]{32};[^\x1b]*;vm=console-look;type=vm\x1b\\/,
      /\x1b\]0;Virtual machine console-look on /,
      /\x1b\]11;\?/,
      /\x1b\[(48;2;[0-9;]+|44)m\x1b\[J/,
    ]
      .map((pattern, index) => (pattern.test(screen) ? 'CTQB'[index] : '-'))
      .join('');
  const words = [...directBoot(machine), '--console-transport=serial', '--quiet', 'quiet'];
  {
    using terminal = new Terminal([program, ...words], { environment: { ...unset, TERM: 'dumb' } });
    await terminal.seen(/vmspawn-small: ready/);
    terminal.type('sh\r');
    await terminal.seen(/# /);
    terminal.type('echo port-$(tty)\r');
    await terminal.seen(/\nport-\/dev\/ttyS0\r/);
    terminal.type('\x1d\x1dd');
    await terminal.unchanged(0);
    assert.equal(done(terminal.screen), '----');
    assert.doesNotMatch(terminal.text, /Ctrl-\]|Starting/);
  }
  for (const [environment, options, expected] of [
    [{ TERM }, [], 'CTQ-'],
    [{ TERM, NO_COLOR: '1' }, [], 'CT--'],
    [{ TERM, NO_COLOR: '1' }, ['--background=44'], 'CT-B'],
    [{ TERM, SYSTEMD_TINT_BACKGROUND: '0' }, [], 'CT--'],
    [{ TERM, SYSTEMD_ADJUST_TERMINAL_TITLE: '0' }, ['--background='], 'C---'],
    [{ TERM: 'dumb' }, ['--background=44'], '----'],
  ] as const) {
    using terminal = new Terminal([control, 'attach', '--quiet', ...options, machine], {
      environment: { ...unset, ...environment },
    });
    await terminal.seen(/port-\/dev\/ttyS0/);
    terminal.type('\x1d\x1dd');
    await terminal.unchanged(0);
    assert.equal(done(terminal.screen), expected, JSON.stringify([environment, options]));
    assert.doesNotMatch(terminal.text, /Attached|Detached/);
    const ends = /\x1b\]3008;end=[0-9a-f]{32}\x1b\\/;
    assert.equal(ends.test(terminal.screen), expected.startsWith('C'));
  }
  using last = new Terminal([control, 'attach', machine], { environment: { ...unset, TERM } });
  await last.seen(/\x1b\]11;\?\x1b\\\x1b\[c/);
  // A terminal that answers is tinted by its answer.
  last.type('\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?6c');
  await last.seen(/port-/);
  last.type('\x1d\x1dp');
  await last.unchanged(0);
  assert.equal(done(last.screen), 'CTQB');
  assert.match(last.screen, new RegExp(`\\x1b\\[${green}m\\x1b\\[J`));
  assert.match(last.screen, /\x1b\]3008;end=[0-9a-f]{32};exit=success;status=0\x1b\\/);
  assert.deepEqual(leftovers(machine), []);
});
