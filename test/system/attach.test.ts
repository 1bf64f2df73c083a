import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { directBoot, leftovers, processes, Run, until } from './harness.ts';
import { Terminal } from './terminals.ts';

const ctl = asset('bin', 'vmspawnctl');
const control = (...words: string[]) => new Run(words, {}, ctl);

/** vmspawnctl in a terminal. */
const terminalOf = (...words: string[]) => new Terminal([ctl, ...words], { columns: 97, rows: 31 });

test('a machine that nobody looks at can be attached to, by many, until it ends', {
  timeout: 240_000,
}, async () => {
  const machine = 'attach-headless';
  await using run = new Run([...directBoot(machine), '--console=headless']);
  // Waits for a machine that has only begun to start.
  await until(() => processes(new RegExp(`main\\.cjs --machine=${machine} `)).length > 0);
  await until(() => leftovers(machine).some((one) => one.startsWith('/')));
  await using follow = control('console-log', '-f', machine);
  await follow.seen(/vmspawn-small: ready/);

  await using pipe = control('attach', machine);
  pipe.type('echo typed-in-a-pipe');
  await pipe.seen(/\ntyped-in-a-pipe\r\n/);
  await using reader = control('attach', '--read-only', machine);
  await reader.seen(/typed-in-a-pipe\r\n/);
  reader.type('echo by-a-reader');

  const busy = await control('attach', machine).ended;
  assert.equal(busy.code, 1);
  assert.match(
    busy.stderr,
    /^vmspawnctl: Somebody else writes to the console of machine attach-headless\. Use /,
  );

  // More than is kept for a guest that does not read: it waits.
  const lines = '0123456789abcde\n'.repeat(90_000);
  pipe.type('sh');
  await pipe.seen(/# /);
  pipe.type(`stty raw -echo; echo go-on | cat; head -c ${lines.length} | md5sum; stty sane; exit`);
  await pipe.seen(/\ngo-on/);
  pipe.child.stdin.write(lines);
  await pipe.seen(new RegExp(createHash('md5').update(lines).digest('hex')));

  // The end of a pipe ends the input only.
  pipe.child.stdin.end();
  {
    using terminal = terminalOf('attach', '--steal', machine);
    await terminal.seen(/Attached to machine attach-headless/);
    const stolen = await pipe.ended;
    assert.equal(stolen.code, 1);
    assert.match(stolen.stderr, /Somebody else has taken over the console of machine attach-headless\./);
    terminal.type('echo stolen-by-a-terminal\r');
    await terminal.seen(/\nstolen-by-a-terminal\r/);
    await until(() => processes(new RegExp(`mainctl\\.cjs attach --steal ${machine}`)).length > 0);
    // What reaches out of the window, and what would stay.
    const at = terminal.screen.length;
    terminal.type('sh\r');
    await terminal.seen(/# /, at);
    terminal.type(String.raw`printf '\033]52;c;QQ==\007\033[?1049h\033[?25l\033[1;5r\033[41mcolour\n'`);
    terminal.type('; echo lef""t; exit\r');
    await reader.seen(/\x1b\[41mcolour\r\nleft/);
  }
  // A closed terminal leaves the machine as it is, and the console free.
  await until(() => processes(new RegExp(`mainctl\\.cjs attach --steal ${machine}`)).length === 0);
  await reader.seen(/\nstolen-by-a-terminal\r/);

  const log = await control('console-log', machine).ended;
  assert.equal(log.code, 0);
  assert.match(log.stdout, /vmspawn-small: ready\r\n/);
  assert.ok(log.stdout.includes('\nstolen-by-a-terminal\r\n') && !log.stdout.includes('by-a-reader'));
  {
    using shown = terminalOf('console-log', machine);
    await shown.unchanged(0);
    assert.ok(shown.screen.includes('\nstolen-by-a-terminal\r\n'));
    // Of what is in the log, only the colours come to a terminal, and do not stay.
    assert.ok(log.stdout.includes('\x1b]52;c;QQ==\x07\x1b[?1049h\x1b[?25l\x1b[1;5r\x1b[41mcolour'));
    assert.match(shown.screen, /\x1b\[41mcolour\r\n[\s\S]*\x1b\[0m/);
    assert.doesNotMatch(shown.screen, /\x1b\]52|\x1b\[\?(1049h|25l)|\x1b\[1;5r/);
  }

  {
    using killed = terminalOf('attach', machine);
    await killed.seen(/Attached to machine/);
    const [pid] = processes(new RegExp(`^(?!\\S*vmspawn-front )\\S.* \\S*mainctl\\.cjs attach ${machine} $`));
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGKILL');
    await killed.unchanged(137);
    using asked = terminalOf('attach', machine);
    await asked.seen(/Attached to machine/);
    const [another] = processes(
      new RegExp(`^(?!\\S*vmspawn-front )\\S.* \\S*mainctl\\.cjs attach ${machine} $`),
    );
    assert.ok(another !== undefined);
    process.kill(another, 'SIGTERM');
    await asked.unchanged(143);
  }

  using terminal = terminalOf('attach', machine);
  await terminal.seen(/Attached to machine/);
  await using line = control('attach', '-r', machine);
  await line.seen(/stolen-by-a-terminal/);
  terminal.type('poweroff\r');
  await terminal.unchanged(0);
  assert.match(terminal.screen, /vmspawnctl: Machine attach-headless has ended\./);
  for (const one of [reader, follow, line]) assert.equal((await one.ended).code, 0);
  assert.equal((await run.ended).code, 0);
  // All have seen the same, up to the last word.
  assert.equal(follow.stdout.slice(-200), reader.stdout.slice(-200));
  assert.deepEqual(leftovers(machine), []);

  const gone = await control('attach', machine).ended;
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /^vmspawnctl: No machine attach-headless is running(, but .*)?\.\n$/);
});

test('the keys end the machine', { timeout: 240_000 }, async () => {
  const machine = 'attach-keys';
  await using run = new Run([...directBoot(machine), '--console=headless']);
  await until(() => leftovers(machine).some((one) => one.startsWith('/')));
  await using reader = control('attach', '-r', machine);
  using terminal = terminalOf('attach', machine);
  await terminal.seen(/vmspawn-small: ready/);
  terminal.type('\x1d\x1d\x1d');
  await terminal.unchanged(0);
  assert.equal((await reader.ended).code, 0);
  assert.equal((await run.ended).code, 0);
});
