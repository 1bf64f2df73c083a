import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { directBoot, leftovers, processes, program, supervisor, until, vmspawn } from './harness.ts';
import { Terminal, Tmux } from './terminals.ts';

/** The machine in a terminal. */
function machineIn(machine: string, words: readonly string[] = []): Terminal {
  return new Terminal([program, ...directBoot(machine), ...words]);
}

test('the guest gets what is typed; the terminal is as before when the guest has powered off', {
  timeout: 120_000,
}, async () => {
  using terminal = machineIn('tty-off');
  await terminal.seen(/vmspawn-small: ready/);
  terminal.type('echo typed-by-a-user\r');
  await terminal.seen(/\ntyped-by-a-user\r/);
  terminal.type('poweroff\r');
  await terminal.unchanged(0);
  assert.deepEqual(leftovers('tty-off'), []);
});

test('Ctrl-] three times ends the machine with status 0', { timeout: 120_000 }, async () => {
  using terminal = machineIn('tty-hotkey');
  await terminal.seen(/vmspawn-small: ready/);
  terminal.type('\x1d\x1d\x1d');
  await terminal.unchanged(0);
  assert.deepEqual(leftovers('tty-hotkey'), []);
});

test('Ctrl-] Ctrl-] p asks for a power-off, again no less gently; two signals to the whole group are two requests', {
  timeout: 240_000,
}, async () => {
  using terminal = machineIn('tty-power', ['--shutdown-timeout=infinity', 'ignore-power-button']);
  const ignored = async (from = terminal.screen.length) => {
    await terminal.seen(/power button ignored/, from);
  };
  await terminal.seen(/vmspawn-small: ready/);
  terminal.type('\x1d\x1dp\x1d\x1dp');
  await terminal.seen(/Power-off requested/);
  terminal.type('\x1d\x1dp');
  await ignored();
  // The presses are the guest's too; the letter is not.
  terminal.type('\x15echo still-here\r');
  await terminal.seen(/\nstill-here\r/);
  // The shell in front of them is in the group too, and has a trap for SIGINT.
  process.kill(-terminal.pid, 'SIGINT');
  await ignored();
  await ignored();
  process.kill(-terminal.pid, 'SIGINT');
  await terminal.unchanged(1);
  assert.deepEqual(leftovers('tty-power'), []);
});

test('a killed supervisor leaves the terminal as it was, and its status to the shell', {
  timeout: 120_000,
}, async () => {
  const green = '48;2;12;51;19';
  await using tmux = await Tmux.start();
  const state = () =>
    tmux.run('display', '-p', '#{pane_title} #{cursor_flag} #{bracket_paste_flag} #{scroll_region_lower}');
  const before = await state();
  const written = await tmux.written();
  await tmux.launch([...directBoot('tty-kill'), `--background=${green}`, 'quiet']);
  await tmux.shows(/vmspawn-small: ready/);
  await tmux.type('sh');
  await tmux.shows(/# ?$/m);
  await tmux.type(
    String.raw`printf '\033[22;0t\033]0;%s\007\033[2;9r\033[9H\033[?25l\033[?2004h\033[41mre%s\n' guest d`,
  );
  await tmux.shows(/^red$/m);
  assert.match(await tmux.screen({ colours: true }), new RegExp(`\\x1b\\[${green}m`));
  assert.match(await state(), /^guest 0 [^ ]* 8$/);
  const at = written().length;
  process.kill(supervisor('tty-kill'), 'SIGKILL');
  await tmux.back(137);
  assert.equal(await state(), before);
  // Tint, titles, the guest's first, and context are over, before the shell goes on.
  const [, id = ''] = /\x1b\]3008;start=([0-9a-f]{32});/.exec(written()) ?? [];
  assert.match(
    written().slice(at),
    new RegExp(`\\x1b\\[!p[^]*\\x1b\\[23;0t[^]*\\x1b\\[J\\r+\\n\\x1b\\[23;0t\\x1b\\]3008;end=${id}\\x1b\\\\`),
  );
  // An answer of the terminal's would stand in this line.
  await tmux.shows(/^\$$/m);
  await tmux.type('clear; echo shell-$((40+2))');
  await tmux.shows(/^shell-42$/m);
  assert.doesNotMatch(await tmux.screen({ colours: true }), new RegExp(green));
  await until(() => processes(/guest=tty-kill,/).length === 0);
  await vmspawn(['--machine=tty-kill', '--clean-up']);
  assert.deepEqual(leftovers('tty-kill'), []);
});

test('a killed front is a closed terminal', { timeout: 120_000 }, async () => {
  using terminal = machineIn('tty-front');
  await terminal.seen(/vmspawn-small: ready/);
  const pid = supervisor('tty-front');
  const [front] = processes(/^\S*vmspawn-front .*--machine=tty-front /);
  assert.ok(front !== undefined);
  process.kill(front, 'SIGKILL');
  await until(() => !existsSync(`/proc/${pid}`));
  await terminal.seen(/^over/m);
  assert.deepEqual(leftovers('tty-front'), []);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
  test(`the terminal is as before after ${signal}`, { timeout: 120_000 }, async () => {
    const machine = `tty-${signal.toLowerCase()}`;
    using terminal = machineIn(machine);
    await terminal.seen(/vmspawn-small: ready/);
    process.kill(supervisor(machine), signal);
    await terminal.unchanged(0);
    assert.deepEqual(leftovers(machine), []);
  });
}

test('a session that ends (SIGTERM and SIGHUP at once) does not cost the guest its power-off', {
  timeout: 120_000,
}, async () => {
  using terminal = machineIn('tty-session');
  await terminal.seen(/vmspawn-small: ready/);
  const pid = supervisor('tty-session');
  process.kill(pid, 'SIGTERM');
  process.kill(pid, 'SIGHUP');
  await terminal.unchanged(0);
  assert.deepEqual(leftovers('tty-session'), []);
});

test('a read-only console shows the guest and takes no input', { timeout: 120_000 }, async () => {
  using terminal = machineIn('tty-read-only', ['--console=read-only']);
  await terminal.seen(/vmspawn-small: ready/);
  terminal.type('poweroff\r\x1d\x1d\x1d');
  // Ctrl-C is a signal here, not a byte for the guest.
  terminal.type('\x03');
  await terminal.unchanged(0);
  assert.deepEqual(leftovers('tty-read-only'), []);
});

test('the native console has the monitor of QEMU on Ctrl-a c', { timeout: 120_000 }, async () => {
  using terminal = machineIn('tty-native', ['--console=native']);
  await terminal.seen(/vmspawn-small: ready/);
  terminal.type('\x01c');
  await terminal.seen(/\(qemu\)/);
  terminal.type('info name\r');
  await terminal.seen(/tty-native/);
  terminal.type('quit\r');
  await terminal.unchanged(0);
  assert.deepEqual(leftovers('tty-native'), []);
});

test('a headless machine leaves the terminal alone', { timeout: 120_000 }, async () => {
  using terminal = machineIn('tty-headless', ['--console=headless']);
  await terminal.seen(/KVM|Starting/);
  terminal.type('\x03');
  await terminal.seen(/^over/m);
  assert.doesNotMatch(terminal.screen, /Linux version/);
  assert.deepEqual(leftovers('tty-headless'), []);
});
