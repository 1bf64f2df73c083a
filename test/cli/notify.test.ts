import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManagerNotifier } from '../../src/cli/notify.ts';
import { FileError, QemuError } from '../../src/errors.ts';
import type { RunningMachine } from '../../src/launch/running-machine.ts';
import { SystemCallError } from '../../src/sys/koffi.ts';
import { Datagrams } from '../sys/datagrams.ts';

const machine = { plan: { machine: 'web' }, pid: 42 } as unknown as RunningMachine;

/** A manager at an abstract address and a notifier that knows it. */
function pair(): { manager: Datagrams; notifier: ManagerNotifier } {
  const manager = new Datagrams(`@vmspawn-test-${process.pid}`);
  return { manager, notifier: new ManagerNotifier({ NOTIFY_SOCKET: manager.address }) };
}

test('a life: more time during the start, ready, stopping once, more time again, the exit status', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { manager, notifier } = pair();
  using _manager = manager;
  notifier.starting();
  assert.deepEqual(manager.texts(), ['STATUS=The machine is being started.', 'EXTEND_TIMEOUT_USEC=30000000']);
  context.mock.timers.tick(20_000);
  assert.equal(manager.texts().length, 2);
  notifier.ready(machine);
  assert.deepEqual(manager.texts(), ['STATUS=The machine web runs.\nX_VMSPAWN_LEADER_PID=42\nREADY=1']);
  context.mock.timers.tick(60_000);
  assert.deepEqual(manager.texts(), [], 'a machine that runs needs no more time');
  notifier.watchdog();
  assert.deepEqual(manager.texts(), ['WATCHDOG=1']);
  notifier.stopping('SIGTERM received: powering off.', 90_000);
  notifier.stopping('Late:\nREADY=1', 90_000);
  assert.deepEqual(manager.texts(), [
    'STOPPING=1\nSTATUS=SIGTERM received: powering off.',
    'EXTEND_TIMEOUT_USEC=30000000',
    'STATUS=Late: READY=1',
  ]);
  context.mock.timers.tick(30_000);
  assert.equal(manager.texts().length, 3);
  notifier.exiting(0, null);
  assert.deepEqual(manager.texts(), ['STATUS=The machine has ended.\nEXIT_STATUS=0']);
  context.mock.timers.tick(30_000);
  assert.deepEqual(manager.texts(), []);
});

test('the extensions end with the time that a shutdown may take, unless that has no end', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  let now = 0;
  context.mock.method(performance, 'now', () => now);
  for (const [timeout, expected] of [
    [5_000, 5],
    [null, 60],
  ] as const) {
    const { manager, notifier } = pair();
    using _manager = manager;
    using _notifier = notifier;
    notifier.stopping('x', timeout);
    const asked = manager.texts().slice(1);
    for (let step = 0; step < 59; step += 1) {
      now += 10_000;
      context.mock.timers.tick(10_000);
      asked.push(...manager.texts());
    }
    assert.equal(asked.length, expected);
    if (timeout !== null) assert.equal(asked.at(-1), 'EXTEND_TIMEOUT_USEC=10000000');
  }
});

test('the number of the system error beneath a failure is told', () => {
  const { manager, notifier } = pair();
  using _manager = manager;
  const cause = new SystemCallError('open', 13);
  notifier.exiting(1, new FileError('/x cannot be opened', { cause, hint: 'Try\nthis.' }));
  notifier.exiting(1, new QemuError('The kernel of the guest has panicked'));
  assert.deepEqual(manager.texts(), [
    'STATUS=/x cannot be opened: open failed with EACCES. Try this.\nERRNO=13\nEXIT_STATUS=1',
    'STATUS=The kernel of the guest has panicked.\nEXIT_STATUS=1',
  ]);
});

test('no manager, and one that does not listen, are no reason to stop', () => {
  for (const environment of [
    {},
    { NOTIFY_SOCKET: '' },
    { NOTIFY_SOCKET: '/nonexistent/notify' },
    { NOTIFY_SOCKET: `@${'x'.repeat(200)}` },
    { NOTIFY_SOCKET: 'vsock:2:1' },
  ]) {
    using notifier = new ManagerNotifier(environment);
    notifier.starting();
    notifier.ready(machine);
    notifier.watchdog();
    notifier.stopping('x', null);
    notifier.exiting(1, new Error('x'));
  }
});
