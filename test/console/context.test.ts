import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextEnd, contextStart, terminalStyle, titleEnd, titleStart } from '../../src/console/context.ts';

const facts = {
  id: '0123456789abcdef0123456789abcdef',
  machine: 'debian',
  user: 'lennart',
  hostname: 'host',
  machineId: 'aa'.repeat(16),
  bootId: 'bb'.repeat(16),
  pid: 42,
  pidfdId: '4711',
  command: 'vmspawn',
};

test('a context names the machine and the host', () => {
  assert.equal(
    contextStart(facts),
    `\x1b]3008;start=${facts.id};user=lennart;hostname=host;machineid=${facts.machineId};bootid=${facts.bootId};pid=42;pidfdid=4711;comm=vmspawn;vm=debian;type=vm\x1b\\`,
  );
  const bare = contextStart({
    ...facts,
    user: null,
    hostname: null,
    machineId: null,
    bootId: null,
    pidfdId: null,
  });
  assert.equal(bare, `\x1b]3008;start=${facts.id};pid=42;comm=vmspawn;vm=debian;type=vm\x1b\\`);
});

test('values are escaped and bounded', () => {
  const odd = contextStart({ ...facts, user: 'a;b\\c\x1b\\\x07ä', command: 'x'.repeat(1000) });
  assert.match(odd, /;user=a\\x3bb\\x5cc\\x1b\\x5c\\x07\\xc3\\xa4;/);
  assert.match(odd, /;comm=x{255};/);
});

test('the end of a context says how the machine ended', () => {
  assert.equal(contextEnd('x', null), '\x1b]3008;end=x\x1b\\');
  for (const [exit, fields] of [
    [{ status: 0 }, 'exit=success;status=0'],
    [{ status: 3 }, 'exit=failure;status=3'],
    [{ signal: 'SIGSEGV' }, 'exit=crash;signal=SIGSEGV'],
    [{ signal: 'SIGKILL' }, 'exit=interrupt;signal=SIGKILL'],
  ] as const) {
    assert.equal(contextEnd('x', exit), `\x1b]3008;end=x;${fields}\x1b\\`);
  }
});

test('the title is kept, set without control characters, and put back', () => {
  assert.equal(titleStart('debian', 'host'), '\x1b[22;0t\x1b]0;Virtual machine debian on host\x1b\\');
  assert.equal(titleStart('a\x07b', null), '\x1b[22;0t\x1b]0;Virtual machine a\\x07b\x1b\\');
  assert.equal(titleEnd, '\x1b[23;0t');
});

test('what is done to the terminal', () => {
  const auto = { isTerminal: true, forwarded: true, background: 'auto' } as const;
  const all = { tint: true, ask: true, title: true, context: true };
  const none = { tint: false, ask: false, title: false, context: false };
  const TERM = 'xterm-256color';
  const untinted = { ...all, tint: false, ask: false };
  assert.deepEqual(terminalStyle({ TERM }, auto), all);
  for (const term of [undefined, '', 'dumb', 'unknown'])
    assert.deepEqual(terminalStyle({ TERM: term }, auto), none);
  assert.deepEqual(terminalStyle({ TERM }, { ...auto, isTerminal: false }), none);
  assert.deepEqual(terminalStyle({ TERM }, { ...auto, forwarded: false }), none);
  assert.deepEqual(terminalStyle({ TERM, SYSTEMD_TINT_BACKGROUND: 'no' }, auto), untinted);
  assert.deepEqual(terminalStyle({ TERM, SYSTEMD_TINT_BACKGROUND: '1' }, auto), all);
  assert.deepEqual(terminalStyle({ TERM, NO_COLOR: '1' }, auto), untinted);
  assert.deepEqual(terminalStyle({ TERM, NO_COLOR: '' }, auto), all);
  assert.deepEqual(terminalStyle({ TERM, NO_COLOR: '1', SYSTEMD_COLORS: 'yes' }, auto), all);
  assert.deepEqual(terminalStyle({ TERM, SYSTEMD_COLORS: '0' }, auto), untinted);
  assert.deepEqual(terminalStyle({ TERM, NO_COLOR: '1' }, { ...auto, background: 'given' }), {
    ...all,
    ask: false,
  });
  assert.deepEqual(terminalStyle({ TERM }, { ...auto, background: 'none' }), untinted);
  assert.deepEqual(terminalStyle({ TERM, SYSTEMD_ADJUST_TERMINAL_TITLE: '0' }, auto), {
    ...all,
    title: false,
  });
});
