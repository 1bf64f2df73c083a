import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type GuestState, initialGuestState, observe } from '../../src/launch/events.ts';
import { type Clock, ShutdownLadder } from '../../src/launch/shutdown.ts';
import { type Input, move, type Step } from '../../src/launch/shutdown-steps.ts';
import { QmpConnectionError, QmpError } from '../../src/qemu/errors.ts';
import type { Behaviour } from '../fixtures/fake-qemu.ts';
import { minimal, startQemu } from '../qemu/start-qemu.ts';

const running: GuestState = { ...initialGuestState, run: 'running' };

/** Time that passes when the test says so. */
class FakeClock implements Clock {
  now = 0;
  timers: { readonly at: number; readonly action: () => void }[] = [];

  after(milliseconds: number, action: () => void): Disposable {
    const timer = { at: this.now + milliseconds, action };
    this.timers.push(timer);
    return {
      [Symbol.dispose]: () => {
        this.timers = this.timers.filter((each) => each !== timer);
      },
    };
  }

  /** Lets time pass up to the earliest timer and runs it. */
  async fire(): Promise<number> {
    await settled();
    const [next] = this.timers.toSorted((a, b) => a.at - b.at);
    assert.ok(next !== undefined, 'a timer is running');
    this.timers = this.timers.filter((each) => each !== next);
    this.now = next.at;
    next.action();
    await settled();
    return this.now;
  }
}

/** Every promise that can settle without input has settled. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

type Execute = (name: string) => Promise<unknown>;

/** A ladder with nothing real around it; `log` has what it did and said, in order. */
function ladderWith({
  execute = () => Promise.resolve({}),
  guest = () => running,
  timeout = 90_000,
}: {
  execute?: Execute;
  guest?: () => GuestState;
  timeout?: number;
} = {}) {
  const clock = new FakeClock();
  const log: string[] = [];
  const signals: AbortSignal[] = [];
  let exit: () => void = () => {};
  const exited = new Promise<void>((resolve) => {
    exit = resolve;
  });
  const ladder = new ShutdownLadder({
    qmp: {
      execute: (name, _values, options) => {
        log.push(name);
        if (options?.signal !== undefined) signals.push(options.signal);
        return execute(name);
      },
    },
    kill: (signal) => log.push(signal),
    exited,
    guest,
    notice: (text) => log.push(`"${text}"`),
    timeout,
    clock,
  });
  const effects = () => log.filter((entry) => !entry.startsWith('"'));
  return { ladder, clock, log, effects, exit, signals };
}

describe('ShutdownLadder', () => {
  test('a guest that heeds nothing meets every step, each at its time', async () => {
    const { ladder, clock, log, exit } = ladderWith();
    ladder.request('SIGTERM received');
    assert.equal(await clock.fire(), 10_000);
    assert.equal(await clock.fire(), 90_000);
    assert.equal(await clock.fire(), 95_000);
    assert.equal(await clock.fire(), 100_000);
    assert.equal(await clock.fire(), 105_000);
    assert.deepEqual(log, [
      '"SIGTERM received: powering the guest off, for which it has 90 s."',
      'system_powerdown',
      '"The guest seems to ignore the power button, or takes its time. It has 80 s left; ask once more to end it now."',
      '"The guest did not power off within 90 s: ending the virtual machine."',
      'quit',
      '"QEMU did not end: sending it SIGTERM."',
      'SIGTERM',
      '"QEMU did not end: sending it SIGKILL."',
      'SIGKILL',
      '"QEMU is there even after SIGKILL; it may wait for a disk or a file system that does not answer."',
    ]);
    assert.equal(ladder.step, 'stuck');
    assert.deepEqual(clock.timers, []);
    exit();
    await settled();
    assert.equal(ladder.step, 'gone');
  });

  test('a guest that powers off ends it at the first step, without a reminder', async () => {
    let state = running;
    const { ladder, clock, effects, exit, log } = ladderWith({ guest: () => state });
    ladder.request('SIGTERM received');
    await settled();
    state = observe(state, {
      name: 'SHUTDOWN',
      data: { guest: true, reason: 'guest-shutdown' },
      timestamp: null,
    }).state;
    await clock.fire();
    assert.equal(log.length, 2);
    exit();
    await settled();
    assert.equal(ladder.step, 'gone');
    assert.deepEqual(clock.timers, []);
    ladder.request('late');
    assert.deepEqual(effects(), ['system_powerdown']);
  });

  test('every further request goes one step further at once', async () => {
    const { ladder, clock, effects } = ladderWith();
    for (const step of ['powerdown', 'quit', 'terminate', 'kill', 'stuck', 'stuck']) {
      ladder.request('SIGINT received');
      assert.equal(ladder.step, step);
      await settled();
    }
    assert.deepEqual(effects(), ['system_powerdown', 'quit', 'SIGTERM', 'SIGKILL']);
    assert.deepEqual(clock.timers, []);
  });

  test('a machine that is not started, paused, or gets no time is ended without the power button', () => {
    for (const [options, words] of [
      [{ guest: () => initialGuestState }, /was not started yet/],
      [{ guest: () => ({ ...running, run: 'paused' as const }) }, /is paused and cannot power itself off/],
      [{ timeout: 0 }, /^"SIGTERM received: ending the virtual machine\."$/],
    ] as const) {
      const { ladder, log, effects } = ladderWith(options);
      ladder.request('SIGTERM received');
      assert.deepEqual(effects(), ['quit']);
      assert.match(log[0] ?? '', words);
      ladder[Symbol.dispose]();
    }
  });

  test('a QEMU that does not answer is not waited for to the end of the grace period', async () => {
    const { ladder, clock, effects, log, signals } = ladderWith({ execute: () => new Promise(() => {}) });
    ladder.request('SIGTERM received');
    assert.equal(await clock.fire(), 10_000);
    assert.equal(log.at(-2), '"QEMU does not answer: ending the virtual machine."');
    assert.equal(await clock.fire(), 15_000);
    assert.equal(await clock.fire(), 20_000);
    assert.deepEqual(effects(), ['system_powerdown', 'quit', 'SIGTERM', 'SIGKILL']);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true],
    );
  });

  test('a command that is refused is not waited for', async () => {
    const { ladder, effects, log } = ladderWith({
      execute: (name) =>
        Promise.reject(new QmpError(name, { class: 'GenericError', description: 'not now' })),
    });
    ladder.request('SIGTERM received');
    await settled();
    assert.deepEqual(effects(), ['system_powerdown', 'quit', 'SIGTERM']);
    assert.match(log.join(), /could not be powered off \(QEMU refused system_powerdown: not now\)/);
  });

  test('a lost connection leaves QEMU its time to end before signals come', async () => {
    const { ladder, clock, effects } = ladderWith({
      execute: () => Promise.reject(new QmpConnectionError('QEMU closed its QMP connection')),
    });
    ladder.request('SIGTERM received');
    await settled();
    assert.deepEqual(effects(), ['system_powerdown', 'quit']);
    assert.equal(await clock.fire(), 5000);
    assert.deepEqual(effects(), ['system_powerdown', 'quit', 'SIGTERM']);
  });

  test('a machine that stops on its way down is told of', async () => {
    let state = running;
    const { ladder, clock, log } = ladderWith({ guest: () => state });
    ladder.request('SIGTERM received');
    state = { ...running, run: 'paused' };
    await clock.fire();
    assert.match(log.at(-1) ?? '', /was paused on its way down\. It has 80 s left/);
    ladder[Symbol.dispose]();
  });

  test('disposal stops every timer and leaves QEMU alone', async () => {
    const { ladder, clock, effects, signals } = ladderWith({ execute: () => new Promise(() => {}) });
    ladder.request('SIGTERM received');
    assert.equal(clock.timers.length, 2);
    ladder[Symbol.dispose]();
    assert.deepEqual(clock.timers, []);
    assert.equal(signals[0]?.aborted, true);
    ladder.request('again');
    assert.deepEqual(effects(), ['system_powerdown']);
  });
});

describe('move', () => {
  const steps: Step[] = ['idle', 'powerdown', 'quit', 'terminate', 'kill', 'stuck', 'gone'];
  const input = fc.oneof<fc.Arbitrary<Input>[]>(
    fc.record({ type: fc.constant('request' as const), reason: fc.string() }),
    fc.constant({ type: 'late' as const }),
    fc.record({ type: fc.constant('reminder' as const), answered: fc.boolean() }),
    fc.record({ type: fc.constant('failed' as const), words: fc.string() }),
    fc.constant({ type: 'exited' as const }),
  );

  test('no input ever leads back, does a thing twice, or leaves a waiting step without a deadline', () => {
    fc.assert(
      fc.property(
        fc.array(input),
        fc.constantFrom<GuestState['run']>('prelaunch', 'running', 'paused'),
        fc.nat(100_000),
        (inputs, run, timeout) => {
          let step: Step = 'idle';
          const done: string[] = [];
          for (const each of inputs) {
            const next = move(step, each, { guest: { ...initialGuestState, run }, timeout });
            assert.ok(steps.indexOf(next.step) >= steps.indexOf(step), `${step} -> ${next.step}`);
            if (next.effect !== null) {
              done.push(next.effect);
              assert.ok(next.deadline !== null);
            }
            if (step === 'idle' && each.type !== 'request' && each.type !== 'exited')
              assert.equal(next.step, 'idle');
            step = next.step;
          }
          assert.equal(new Set(done).size, done.length);
        },
      ),
    );
  });
});

/** A ladder around a running program, with the guest's state kept by its events. */
async function around(command: readonly string[], behaviour: Behaviour, { start = true } = {}) {
  const vm = await startQemu(() => minimal('a'), {
    command,
    environment: { FAKE_QEMU: JSON.stringify(behaviour) },
  });
  let state = initialGuestState;
  vm.qmp.onEvent((event) => {
    state = observe(state, event).state;
  });
  if (start) await vm.qmp.execute('cont');
  const clock = new FakeClock();
  const ladder = new ShutdownLadder({
    qmp: vm.qmp,
    kill: vm.kill,
    exited: vm.exited,
    guest: () => state,
    notice: () => {},
    timeout: 90_000,
    clock,
  });
  return { vm, ladder, clock, state: () => state };
}

const fake = [process.execPath, join(__dirname, '../fixtures/fake-qemu.cjs')];

describe('ShutdownLadder around a process', () => {
  test('power-down, and an exit status of its own', async () => {
    const { vm, ladder, state } = await around(fake, { status: 7 });
    await using _vm = vm;
    ladder.request('test');
    assert.deepEqual(await vm.exited, { code: 7, signal: null });
    assert.deepEqual(state().shutdown, { guest: true, reason: 'guest-shutdown' });
    assert.equal(ladder.step, 'gone');
  });

  test('a guest that ignores the power button, a QEMU that ignores quit and SIGTERM', async () => {
    const { vm, ladder, clock } = await around(fake, {
      ignoresPowerdown: true,
      ignoresQuit: true,
      ignoresSigterm: true,
    });
    await using _vm = vm;
    ladder.request('test');
    // The answer must be there before the reminder asks for it.
    await vm.qmp.execute('query-status');
    while (ladder.step !== 'kill') await clock.fire();
    assert.deepEqual(await vm.exited, { code: null, signal: 'SIGKILL' });
    assert.deepEqual(clock.timers, []);
  });

  test('a connection that drops: SIGTERM ends it', async () => {
    const { vm, ladder, clock } = await around(fake, { dropsAfter: 2 });
    await using _vm = vm;
    ladder.request('test');
    await vm.qmp.closed;
    await settled();
    assert.equal(ladder.step, 'quit');
    await clock.fire();
    assert.deepEqual(await vm.exited, { code: 0, signal: null });
  });

  test('a real QEMU that was not started quits', async () => {
    const { vm, ladder, state } = await around(['qemu-system-x86_64'], {}, { start: false });
    await using _vm = vm;
    ladder.request('test');
    assert.deepEqual(await vm.exited, { code: 0, signal: null });
    assert.equal(state().shutdown?.reason, 'host-qmp-quit');
  });

  test('a real QEMU whose firmware ignores the power button: reminder, quit, exit status 0', async () => {
    const { vm, ladder, clock, state } = await around(['qemu-system-x86_64'], {});
    await using _vm = vm;
    ladder.request('test');
    await vm.qmp.execute('query-status');
    assert.equal(await clock.fire(), 10_000);
    assert.equal(ladder.step, 'powerdown');
    assert.equal(await clock.fire(), 90_000);
    assert.deepEqual(await vm.exited, { code: 0, signal: null });
    assert.equal(state().shutdown?.reason, 'host-qmp-quit');
  });

  test('a real QEMU that hangs is killed', async () => {
    const { vm, ladder, clock } = await around(['qemu-system-x86_64'], {});
    await using _vm = vm;
    vm.kill('SIGSTOP');
    ladder.request('test');
    while (ladder.step !== 'kill') await clock.fire();
    assert.deepEqual(await vm.exited, { code: null, signal: 'SIGKILL' });
  });
});
