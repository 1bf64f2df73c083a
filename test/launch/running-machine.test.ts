import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import type { EarlyChild, ExitStatus } from '../../src/child/early-child.ts';
import { LineTail } from '../../src/child/line-tail.ts';
import { DisposalStack } from '../../src/disposal.ts';
import { GuestWord } from '../../src/launch/guest-word.ts';
import { RunningMachine } from '../../src/launch/running-machine.ts';
import type { RunningAuxiliary } from '../../src/manager/manager.ts';
import { makePlan } from '../../src/plan/make-plan.ts';
import type { Plan, PlannedShare } from '../../src/plan/plan.ts';
import { Qmp } from '../../src/qemu/qmp.ts';
import * as hosts from '../plan/hosts.ts';

interface Stage {
  readonly machine: RunningMachine;
  /** What QEMU was told, in its words; signals by their name. */
  readonly told: string[];
  readonly notices: string[];
  /** All that went through QMP before has arrived. */
  arrived(): Promise<unknown>;
  /** What QEMU says by itself. */
  event(name: string, data?: object): void;
  /** What the guest says. */
  readonly word: GuestWord;
  /** Ends QEMU. */
  exit(status: ExitStatus): void;
}

/** A machine that runs on a QEMU of the test's own: quit and signals end it, and the power button where `heeds`. */
async function stage({
  terminating = false,
  heeds = false,
  daemon,
  share,
}: StageOptions = {}): Promise<Stage> {
  const told: string[] = [];
  const notices: string[] = [];
  const [ours, theirs] = duplexPair();
  let exit: Stage['exit'] = () => {};
  const exited = new Promise<ExitStatus>((resolve) => {
    exit = (status) => {
      theirs.end();
      resolve(status);
    };
  });
  const say = (message: object) => theirs.write(`${JSON.stringify(message)}\n`);
  const event = (name: string, data: object = {}) =>
    say({ event: name, data, timestamp: { seconds: 1, microseconds: 0 } });
  theirs.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().split('\n')) {
      if (line.trim() === '') continue;
      const { execute, id } = JSON.parse(line);
      if (!['cont', 'qmp_capabilities'].includes(execute)) told.push(execute);
      say({ return: answers[execute] ?? {}, id });
      if (execute === 'quit') exit({ code: 0, signal: null });
      if (execute === 'system_powerdown' && heeds) {
        event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' });
        exit({ code: 0, signal: null });
      }
    }
  });
  const child: EarlyChild = {
    pid: 1,
    flavour: 'native',
    exited,
    stderrTail: new LineTail(),
    kill: (signal) => {
      told.push(signal);
      exit({ code: null, signal });
    },
    handOver: async () => {},
    async [Symbol.asyncDispose]() {},
  };
  const qmp = new Qmp(ours);
  say({ QMP: { version: { qemu: { major: 10, minor: 0, micro: 0 }, package: '' }, capabilities: [] } });
  await qmp.negotiate();
  const ordinary = makePlan(hosts.settings({ shutdownTimeout: 60_000 }), hosts.debian12, 'vm');
  const plan: Plan = {
    ...ordinary,
    auxiliaries: ordinary.auxiliaries.map((one) => (share === undefined ? one : { ...one, share })),
  };
  const word = new GuestWord({ readiness: plan.readiness, notice: () => {}, status: () => {} });
  const machine = new RunningMachine({
    plan,
    word,
    channel: { drained: Promise.resolve() },
    child,
    qmp,
    console: null,
    auxiliaries: daemon === undefined ? [] : [daemon],
    manager: { terminating: async () => terminating },
    notice: ({ text }) => void notices.push(text),
  });
  event('RESUME');
  const arrived = () => qmp.execute('cont');
  await arrived();
  machine.supervise(new DisposalStack());
  return { machine, told, notices, arrived, event, word, exit };
}

/** Devices without a driver. */
const answers: Record<string, unknown> = {
  'query-pci': [
    {
      bus: 0,
      devices: [
        {
          qdev_id: 'port0',
          regions: [{ bar: 0, address: -1 }],
          pci_bridge: {
            devices: ['root-device0', 'mnt0-device0'].map((id) => ({
              qdev_id: id,
              regions: [{ bar: 4, address: 0x8000 }],
            })),
          },
        },
      ],
    },
  ],
  'human-monitor-command': '0000000000008014: 0x03\r\n',
};

interface StageOptions {
  readonly terminating?: boolean;
  readonly heeds?: boolean;
  readonly daemon?: RunningAuxiliary;
  readonly share?: PlannedShare;
}

test('a request presses the power button, and the guest that heeds it ends well', async () => {
  const { machine, told } = await stage({ heeds: true });
  machine.requestShutdown('SIGTERM received');
  assert.deepEqual(await machine.exited, { status: 0, error: null });
  assert.deepEqual(told, ['system_powerdown']);
});

test('a machine that is being terminated ends at once, and well', async () => {
  const { machine, told } = await stage({ terminating: true });
  machine.requestShutdown('SIGTERM received');
  assert.deepEqual(await machine.exited, { status: 0, error: null });
  assert.equal(told.at(-1), 'quit');
});

test('power-off from outside is not less gentle the second time, terminate ends it', async () => {
  const { machine, told, arrived } = await stage();
  const controlled = machine.controlled;
  controlled.powerOff();
  controlled.powerOff();
  await arrived();
  assert.deepEqual(told, ['system_powerdown']);
  controlled.terminate();
  assert.deepEqual(await machine.exited, { status: 0, error: null });
});

test('a daemon that dies: its words, an orderly shutdown, status 1', async () => {
  const plan = makePlan(hosts.settings(), hosts.debian12, 'vm').auxiliaries[0];
  assert.ok(plan !== undefined);
  const daemon: RunningAuxiliary = {
    plan,
    unit: 'machine-vm-swtpm.service',
    ended: Promise.resolve('signal SIGKILL'),
    lastWords: async () => 'the end is near',
    async [Symbol.asyncDispose]() {},
  };
  const { machine, told, notices } = await stage({ heeds: true, daemon });
  const { status, error } = await machine.exited;
  assert.equal(status, 1);
  assert.match(
    error?.message ?? '',
    /swtpm \(machine-vm-swtpm\.service\) ended with signal SIGKILL: the end is near$/,
  );
  assert.deepEqual(told, ['system_powerdown']);
  assert.match(notices.join('\n'), /the end is near; the machine is shut down\./);
});

test('a guest without its root file system does not get the whole time', async () => {
  const plan = makePlan(hosts.settings(), hosts.debian12, 'vm').auxiliaries[0];
  assert.ok(plan !== undefined);
  const daemon: RunningAuxiliary = {
    plan: { ...plan, name: 'virtiofsd-root', shutdownTimeout: 10 },
    unit: null,
    ended: Promise.resolve('signal SIGKILL'),
    lastWords: async () => '',
    async [Symbol.asyncDispose]() {},
  };
  const { machine, told, notices } = await stage({ daemon });
  const { status, error } = await machine.exited;
  assert.equal(status, 1);
  assert.match(error?.message ?? '', /virtiofsd-root ended with signal SIGKILL$/);
  assert.deepEqual(told, ['system_powerdown', 'quit']);
  assert.match(notices.join('\n'), /virtiofsd-root is gone: powering the guest off, for which it has 0 s/);
});

test('QEMU that somebody kills: status 1, and nobody is asked for anything', async () => {
  const { machine, told, exit } = await stage();
  exit({ code: null, signal: 'SIGKILL' });
  const { status, error } = await machine.exited;
  assert.equal(status, 1);
  assert.match(error?.message ?? '', /QEMU ended with signal SIGKILL/);
  assert.deepEqual(told, []);
});

test('a panicked guest is asked about its root file system before it is ended', async () => {
  const share = { device: 'root-device0', directory: '/srv/tree', place: null };
  const { machine, told, notices, event } = await stage({ share });
  event('GUEST_PANICKED', { action: 'pause' });
  const { status, error } = await machine.exited;
  assert.equal(status, 1);
  assert.match(error?.message ?? '', /has panicked/);
  assert.deepEqual(told, ['query-pci', 'human-monitor-command', 'quit']);
  assert.match(notices.join('\n'), /cannot mount its root file system, \/srv\/tree/);
});

test('a guest that says that it is ready is asked about what it is to mount, after each start', async () => {
  const share = { device: 'mnt0-device0', directory: '/srv/data', place: '/data' };
  const { machine, told, arrived, event, word } = await stage({ share });
  for (let start = 1; start <= 2; start += 1) {
    word.receive({ kind: 'ready' });
    word.receive({ kind: 'ready' });
    // The first answer brings the second question.
    await arrived();
    await arrived();
    assert.deepEqual(told.slice(-2), ['query-pci', 'human-monitor-command']);
    assert.equal(told.length, start * 2);
    event('RESET', { guest: true });
    await arrived();
  }
  machine.end('Termination requested');
  await machine.exited;
});
