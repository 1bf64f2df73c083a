import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { VarlinkClient } from '../../src/varlink/index.ts';
import { directBoot, leftovers, Run, supervisor, until, vmspawn } from './harness.ts';
import { Tmux } from './terminals.ts';

async function call(machine: string, method: string): Promise<unknown> {
  await using client = await VarlinkClient.connect(`/run/vmspawn/${machine}/control`);
  const reply = await client.call(`io.systemd.MachineInstance.${method}`, {});
  return reply.parameters;
}

async function assertRuns(machine: string): Promise<void> {
  assert.deepEqual(await call(machine, 'Describe'), { running: true, status: 'running' });
}

/** In a session of its own, with nothing of a terminal open. */
function assertInBackground(pid: number): void {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [, , , session, terminal] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  assert.equal(Number(session), pid);
  assert.equal(Number(terminal), 0);
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  assert.deepEqual(
    open.filter((path) => /^\/dev\/(pts|tty|console|ptmx)/.test(path)),
    [],
  );
}

async function gone(pid: number): Promise<void> {
  await until(() => !existsSync(`/proc/${pid}`));
}

/** Whatever a failed test has left running. */
function killLater(machine: string): Disposable {
  return {
    [Symbol.dispose]() {
      try {
        process.kill(supervisor(machine), 'SIGKILL');
      } catch {}
    },
  };
}

test('Ctrl-] Ctrl-] r reboots; d leaves the machine running, without the terminal, until it is powered off', {
  timeout: 240_000,
}, async () => {
  using _last = killLater('det-keys');
  await using tmux = await Tmux.start();
  await tmux.launch(directBoot('det-keys'));
  await tmux.shows(/vmspawn-small: ready/, { history: true });
  await tmux.press('C-]', 'C-]', 'r');
  await tmux.shows(/virtual machine was reset[\s\S]*vmspawn-small: ready/, { history: true });
  const pid = supervisor('det-keys');
  await tmux.press('C-]', 'C-]', 'd');
  await tmux.back(0);
  await tmux.shows(/^Detached from machine det-keys; vmspawnctl attach det-keys comes back\.$/m, {
    history: true,
  });
  assertInBackground(pid);
  await assertRuns('det-keys');
  await tmux.close();
  process.kill(pid, 'SIGHUP');
  await assertRuns('det-keys');
  await call('det-keys', 'PowerOff');
  await gone(pid);
  assert.deepEqual(leftovers('det-keys'), []);
});

test('--console=interactive,keep: a closed terminal leaves the machine running, to be attached to, until a signal ends it', {
  timeout: 240_000,
}, async () => {
  using _last = killLater('det-keep');
  await using tmux = await Tmux.start();
  await tmux.launch([...directBoot('det-keep'), '--console=interactive,keep']);
  await tmux.shows(/vmspawn-small: ready/, { history: true });
  const pid = supervisor('det-keep');
  await tmux.run('kill-session');
  await until(() => readlinkSync(`/proc/${pid}/fd/2`) === '/dev/null');
  assertInBackground(pid);
  await assertRuns('det-keep');
  await using another = await Tmux.start(90, 24);
  await another.launch(['attach', 'det-keep'], asset('bin', 'vmspawnctl'));
  await another.shows(/Attached to machine det-keep\./, { history: true });
  await another.type('sh');
  await another.shows(/# ?$/m);
  await another.type('until [ "$(stty size)" = "24 90" ]; do sleep 0.1; done; echo attached-$((40+2))');
  await another.shows(/^attached-42$/m);
  await another.press('C-]', 'C-]', 'd');
  await another.back(0);
  await assertRuns('det-keep');
  process.kill(pid, 'SIGTERM');
  await gone(pid);
  assert.deepEqual(leftovers('det-keep'), []);
});

test('a terminal that is closed during the start does not end a machine that is to be kept', {
  timeout: 240_000,
}, async () => {
  using _last = killLater('det-early');
  await using run = new Run([...directBoot('det-early'), '--console=read-only,keep']);
  await until(() => existsSync('/run/vmspawn/det-early'));
  run.child.kill('SIGHUP');
  await until(() => existsSync('/run/vmspawn/det-early/control'));
  const pid = supervisor('det-early');
  await until(() => readlinkSync(`/proc/${pid}/fd/2`) === '/dev/null');
  await assertRuns('det-early');
  process.kill(pid, 'SIGTERM');
  assert.equal((await run.ended).code, 0);
  assert.deepEqual(leftovers('det-early'), []);
});

test('--detach from a script: success when it runs, the failure and its status otherwise', {
  timeout: 240_000,
}, async () => {
  using _last = killLater('det-script');
  const words = [...directBoot('det-script'), '--detach'];
  const started = await vmspawn(words);
  assert.equal(started.code, 0, started.stderr);
  assert.match(
    started.stderr,
    /^vmspawn: Machine det-script runs in the background; vmspawnctl attach det-script /m,
  );
  assert.equal(started.stdout, '');
  const pid = supervisor('det-script');
  assertInBackground(pid);
  await assertRuns('det-script');

  const again = await vmspawn(words);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^vmspawn: The machine det-script is running already, by PID \d+\..*\n$/);
  const wrong = await vmspawn([...words, '--console=native']);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^vmspawn: --detach cannot be combined with --console=native, .*\n$/);

  process.kill(pid, 'SIGTERM');
  await gone(pid);
  assert.deepEqual(leftovers('det-script'), []);
});

test('--detach with --notify-ready=yes waits for the guest; a signal meanwhile gives the start up', {
  timeout: 240_000,
}, async () => {
  using _last = killLater('det-wait');
  await using run = new Run([...directBoot('det-wait'), '--detach', '--notify-ready=yes']);
  await until(() => existsSync('/run/vmspawn/det-wait/control'));
  run.child.kill('SIGTERM');
  const end = await run.ended;
  assert.notEqual(end.code, 0, end.stderr);
  assert.match(end.stderr, /SIGTERM received/);
  assert.deepEqual(leftovers('det-wait'), []);
});
