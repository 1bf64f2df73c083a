import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DriverWatch } from '../../src/launch/driver-watch.ts';
import { makePlan } from '../../src/plan/make-plan.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { patience } from '../../src/plan/readiness.ts';
import type { CommandName } from '../../src/qemu/commands.ts';
import type { Qmp } from '../../src/qemu/qmp.ts';
import * as hosts from '../plan/hosts.ts';

/** A plan with one directory at /data and, if wanted, a root file system that is shared. */
function sharing(tree: boolean): Plan {
  const plan = makePlan(hosts.settings(), hosts.debian12, 'vm');
  const [daemon] = plan.auxiliaries;
  assert.ok(daemon !== undefined);
  const shares = [
    ...(tree ? [{ device: 'root-device0', directory: '/srv/tree', place: null }] : []),
    { device: 'mnt0-device0', directory: '/srv/data', place: '/data' },
  ];
  return { ...plan, auxiliaries: shares.map((share) => ({ ...daemon, share })) };
}

/** A watch of a guest whose devices have the drivers that the test says. */
function stage(context: TestContext, { tree = false, answer = status }: StageOptions = {}) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const state = { driven: new Set(['balloon0']), running: true, asked: 0 };
  const told: string[] = [];
  const plan = sharing(tree);
  const ids = ['balloon0', 'root-device0', 'mnt0-device0'];
  const execute = async (name: CommandName, values?: { 'command-line': string }) => {
    state.asked += 1;
    if (name === 'query-pci') {
      return ids.map((device, index) => ({ device, bar: 4, address: 0x1000 * (index + 1) }));
    }
    assert.equal(name, 'human-monitor-command');
    const [, index] = /^xp \/1xb 0x([123])014$/.exec(values?.['command-line'] ?? '') ?? [];
    return answer(state.driven.has(ids[Number(index) - 1] ?? ''));
  };
  const watch = new DriverWatch({
    plan,
    qmp: { execute: execute as Qmp['execute'] },
    running: () => state.running,
    notice: ({ level, text }) => told.push(`${level}: ${text}`),
  });
  const time = patience[plan.qemu.configuration.accelerator.name];
  /** Lets milliseconds pass, and then what was asked be answered. */
  const pass = async (milliseconds: number) => {
    context.mock.timers.tick(milliseconds);
    await new Promise(setImmediate);
  };
  return { state, told, watch, pass, time };
}

interface StageOptions {
  readonly tree?: boolean;
  readonly answer?: (driven: boolean) => string;
}

function status(driven: boolean): string {
  return `0000000000001014: 0x${driven ? '0f' : '01'}\r\n`;
}

test('a guest that is up without a driver: told once, whatever follows', async (context) => {
  const { watch, told, pass, time } = stage(context);
  watch.started();
  for (let count = 0; count < 1_000; count += 1) watch.ready();
  await pass(0);
  assert.deepEqual(told, [], 'it may be on its way down');
  await pass(3_000);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^warning: .*\/srv\/data of this host at \/data\./);
  await pass(time);
  watch.leaving();
  watch.started();
  watch.ready();
  await pass(3_000);
  assert.equal(told.length, 1);
});

test('a guest with a driver is not spoken of, and not asked about again', async (context) => {
  const { watch, state, told, pass, time } = stage(context, { tree: true });
  for (const device of ['root-device0', 'mnt0-device0']) state.driven.add(device);
  watch.started();
  watch.ready();
  await pass(0);
  const { asked } = state;
  // On its way down it gives them up.
  state.driven.clear();
  await pass(time);
  watch.leaving();
  void watch.panicked();
  await pass(0);
  assert.equal(state.asked, asked);
  assert.deepEqual(told, []);
});

test('a driver that is gone at the first look since the guest reboots or ends', async (context) => {
  const { watch, state, told, pass, time } = stage(context);
  watch.started();
  watch.ready();
  await pass(0);
  watch.started();
  await pass(3_000);
  watch.ready();
  await pass(0);
  state.running = false;
  await pass(3_000);
  state.running = true;
  watch.started();
  watch.ready();
  watch[Symbol.dispose]();
  await pass(time);
  assert.deepEqual(told, []);
});

test('a guest without a word: its root early, the rest when nobody waits any longer', async (context) => {
  const { watch, told, pass, time } = stage(context, { tree: true });
  watch.started();
  await pass(time / 3);
  await pass(3_000);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /root file system, \/srv\/tree/);
  await pass(time);
  await pass(3_000);
  assert.equal(told.length, 2);
  assert.match(told[1] ?? '', /\/srv\/data/);
});

test('a guest that waits in its firmware has no driver for anything', async (context) => {
  const { watch, state, told, pass, time } = stage(context);
  state.driven.clear();
  watch.started();
  await pass(time);
  await pass(3_000);
  watch.leaving();
  await pass(0);
  assert.deepEqual(told, []);
});

test('a guest that is to end without having said a word, but not one that has just begun', async (context) => {
  const { watch, told, pass, time } = stage(context);
  watch.started();
  watch.leaving();
  await pass(0);
  assert.deepEqual(told, []);
  await pass(time / 3);
  watch.leaving();
  await pass(0);
  assert.equal(told.length, 1);
});

test('a kernel that panics: of its root at once, and of nothing else', async (context) => {
  const { watch, told, pass } = stage(context, { tree: true });
  watch.started();
  void watch.panicked();
  await pass(0);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /root file system/);
});

test('what QEMU does not know, or says in other words, is silence', async (context) => {
  const answers: readonly (() => string)[] = [
    () => {
      throw new Error('CommandNotFound');
    },
    () => '0000000000001014: Cannot access memory\r\n',
    () => '0000000000001014: 0xff\r\n',
    () => '0x00',
    () => '',
  ];
  for (const answer of answers) {
    const { watch, told, pass, time } = stage(context, { tree: true, answer });
    watch.started();
    watch.ready();
    void watch.panicked();
    await pass(3_000);
    watch.started();
    await pass(time);
    watch.leaving();
    await pass(3_000);
    assert.deepEqual(told, []);
    watch[Symbol.dispose]();
    context.mock.timers.reset();
  }
});
