import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { childCommand, type Flavour } from '../../src/child/child-program.ts';
import { type Leader, startLeader } from '../../src/child/leader.ts';
import { HandOverError, InterruptedError } from '../../src/errors.ts';
import { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { setCloseOnExec } from '../../src/sys/descriptors.ts';
import { openPidfd } from '../../src/sys/pidfd.ts';
import { socketpair } from '../../src/sys/socketpair.ts';

const { SIGKILL, SIGSTOP, SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV } = constants.signals;
/** Not to be caught; two that libc keeps for itself; and what Node cannot handle. */
const excepted: readonly number[] = [SIGKILL, SIGSTOP, 32, 33, SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV];

/** Settles when the signals that were told hold all of `wanted`. */
function told(leader: Leader, wanted: readonly number[]): Promise<number[]> {
  const seen: number[] = [];
  return new Promise((resolve, reject) => {
    leader.onSignal((number) => {
      seen.push(number);
      if (wanted.every((one) => seen.includes(one))) resolve(seen);
    });
    void leader.exited.then(({ code, signal }) => reject(new Error(`it ended: ${code} ${signal}, ${seen}`)));
  });
}

function session(pid: number): number {
  return Number(
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[3],
  );
}

for (const flavour of ['native', 'node'] as const) {
  test(`${flavour}: every signal that can be handled is told by its number, none ends it`, async () => {
    await using leader = startLeader({ flavour });
    await leader.ready;
    const numbers = Array.from({ length: 64 }, (_, index) => index + 1).filter((n) => !excepted.includes(n));
    // One by one: SIGCONT and the signals that stop take each other away while they are pending.
    for (const number of numbers) {
      const seen = told(leader, [number]);
      process.kill(leader.pid, number);
      assert.deepEqual(await seen, [number]);
    }
  });

  test(`${flavour}: signals from before anybody listened are told too`, async () => {
    await using leader = startLeader({ flavour });
    await leader.ready;
    process.kill(leader.pid, 34 + 4);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await told(leader, [38]);
    const again = told(leader, [38, constants.signals.SIGINT]);
    process.kill(leader.pid, 34 + 4);
    process.kill(leader.pid, 'SIGINT');
    assert.deepEqual((await again).toSorted(), [2, 38]);
  });

  test(`${flavour}: it has a name, a session of its own, and no directory of ours`, async () => {
    await using leader = startLeader({ flavour });
    await leader.ready;
    assert.equal(readFileSync(`/proc/${leader.pid}/comm`, 'utf8'), 'vmspawn-leader\n');
    assert.equal(session(leader.pid), leader.pid);
    assert.notEqual(session(process.pid), leader.pid);
    assert.equal(readlinkSync(`/proc/${leader.pid}/cwd`), '/');
  });

  test(`${flavour}: SIGKILL is seen as its end; disposal leaves no process`, async () => {
    await using leader = startLeader({ flavour });
    await leader.ready;
    process.kill(leader.pid, 'SIGKILL');
    assert.deepEqual(await leader.exited, { code: null, signal: 'SIGKILL' });
    const other = startLeader({ flavour });
    await other[Symbol.asyncDispose]();
    assert.equal(existsSync(`/proc/${other.pid}`), false);
    await assert.rejects(other.ready, HandOverError);
  });

  test(`${flavour}: it ends with 0 when the other side of its channel is closed`, async () => {
    const { exited, channel } = plain(flavour, process.pid);
    assert.deepEqual(await once(channel, 'data'), [Buffer.of(0)]);
    channel.destroy();
    assert.deepEqual(await exited, [0, null]);
  });

  test(`${flavour}: it ends, and was never ready, when the supervisor is not who started it`, async () => {
    const { exited, channel } = plain(flavour, 1);
    channel.on('data', (data) => assert.fail(`It said ${data[0]}`));
    assert.deepEqual(await exited, [0, null]);
    channel.destroy();
  });

  test(`${flavour}: it ends with a supervisor that is killed`, async () => {
    const supervisor = spawn(
      process.execPath,
      [join(__dirname, 'fixtures/supervisor.cjs'), flavour, 'leader'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const pid = Number(
      await new Promise((resolve) => supervisor.stdout.once('data', (data) => resolve(String(data)))),
    );
    assert.ok(pid > 1);
    using pidfd = openPidfd(pid);
    supervisor.kill('SIGKILL');
    await pidfd.exited();
  });

  test(`${flavour}: aborted before, nothing is started`, () => {
    assert.throws(() => startLeader({ flavour, signal: AbortSignal.abort() }), InterruptedError);
  });
}

test('native: no descriptor but the standard ones, the channel and its signals stays open', async () => {
  const stray = openSync('/dev/zero', 'r');
  setCloseOnExec(stray, false);
  await using leader = startLeader({ flavour: 'native' });
  await leader.ready;
  closeSync(stray);
  const open = Array.from({ length: 1100 }, (_, fd) => fd).filter((fd) => existsLink(leader.pid, fd));
  assert.deepEqual(open, [0, 1, 2, 3, 4]);
  assert.equal(readlinkSync(`/proc/${leader.pid}/fd/4`), 'anon_inode:[signalfd]');
});

function existsLink(pid: number, fd: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`) !== '';
  } catch {
    return false;
  }
}

/** A leader whose supervisor is said to be `supervisor`, with our side of its channel. */
function plain(flavour: Flavour, supervisor: number) {
  const [ours, theirs] = socketpair();
  const [program, ...words] = childCommand(flavour, ['leader', String(supervisor)]);
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit', theirs] });
  closeSync(theirs);
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
  return { exited, channel: new DescriptorStream(ours) };
}
