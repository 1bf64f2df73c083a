import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManagerNotifier } from '../../src/cli/notify.ts';
import { FileError, QemuError } from '../../src/errors.ts';
import type { RunningMachine } from '../../src/launch/running-machine.ts';
import { SystemCallError } from '../../src/sys/koffi.ts';
import { Datagrams } from '../sys/datagrams.ts';

/** A machine whose guest has so many milliseconds to say that it is ready; null: for ever; without: it need not. */
function machineWith(patience?: number | null): RunningMachine {
  const readiness = { guest: patience !== undefined, patience: patience ?? null, cid: null };
  return { plan: { machine: 'web', readiness }, pid: 42 } as unknown as RunningMachine;
}

const machine = machineWith();

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
  notifier.started(machine);
  notifier.ready(machine);
  assert.deepEqual(manager.texts(), [
    'STATUS=The machine web runs.\nX_VMSPAWN_LEADER_PID=42',
    'STATUS=The machine web runs.\nREADY=1',
  ]);
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

test('a guest that may take its time gets it from the manager; one that must say it gets what the unit gives', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  for (const [patience, asked] of [
    [90_000, 3],
    [null, 0],
  ] as const) {
    const { manager, notifier } = pair();
    using _manager = manager;
    using _notifier = notifier;
    notifier.starting();
    manager.texts();
    notifier.started(machineWith(patience));
    context.mock.timers.tick(20_000);
    const texts = manager.texts();
    assert.equal(texts.filter((text) => text.startsWith('EXTEND_TIMEOUT_USEC=')).length, asked);
    assert.ok(texts.includes('STATUS=The machine web is booting.\nX_VMSPAWN_LEADER_PID=42'));
    notifier.waiting('Nothing was said.');
    notifier.guestStatus('Startup finished\nREADY=1');
    notifier.waiting('Nothing was said.');
    notifier.ready(machine);
    assert.deepEqual(manager.texts(), [
      'STATUS=Nothing was said.',
      'STATUS=Guest: Startup finished READY=1',
      'READY=1',
    ]);
    context.mock.timers.tick(60_000);
    assert.deepEqual(manager.texts(), []);
  }
});

test('a machine that is being shut down is not said to be ready', () => {
  const { manager, notifier } = pair();
  using _manager = manager;
  using _notifier = notifier;
  notifier.started(machineWith(null));
  notifier.stopping('x', 0);
  manager.texts();
  notifier.guestStatus('late');
  notifier.ready(machine);
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
    'STATUS=/x cannot be opened: open failed with EACCES. Try\\x0athis.\nERRNO=13\nEXIT_STATUS=1',
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
    notifier.started(machine);
    notifier.ready(machine);
    notifier.guestStatus('x');
    notifier.watchdog();
    notifier.stopping('x', null);
    notifier.exiting(1, new Error('x'));
  }
});
