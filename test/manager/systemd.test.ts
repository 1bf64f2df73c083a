import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Message, Variant } from 'dbus-next';
import { startEarlyChild } from '../../src/child/early-child.ts';
import { Connections } from '../../src/host/connections.ts';
import { UnitManager } from '../../src/manager/systemd.ts';
import type { PlannedAuxiliary, PlannedManager } from '../../src/plan/plan.ts';
import { type MockService, type PrivateBus, startBus, startService } from '../dbus/private-bus.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();
const managerPath = '/org/freedesktop/systemd1';
const managerInterface = 'org.freedesktop.systemd1.Manager';

/** systemd as far as a start goes: keeps account of the units that exist. */
class FakeSystemd {
  readonly units = new Set<string>();
  /** Calls so far; the one of this number is refused, or `onFault` is called instead of an answer. */
  calls = 0;
  fault = 0;
  onFault: (call: Message, service: MockService) => void = (call, service) =>
    service.refuse(call, 'org.freedesktop.DBus.Error.AccessDenied', 'not today');

  answer(call: Message, service: MockService): void {
    this.calls += 1;
    if (this.calls === this.fault) {
      this.onFault(call, service);
      return;
    }
    const name = String(call.body[0]);
    const job = `${managerPath}/job/${this.calls}`;
    if (call.member === 'StartTransientUnit') {
      this.units.add(name);
      for (const [other] of call.body[3] as [string, unknown][]) this.units.add(other);
      service.reply(call, 'o', [job]);
    } else if (call.member === 'StopUnit') {
      if (!this.units.delete(name)) {
        service.refuse(call, 'org.freedesktop.systemd1.NoSuchUnit', `Unit ${name} not loaded.`);
        return;
      }
      service.reply(call, 'o', [job]);
    } else if (call.member === 'Get') {
      service.reply(call, 'v', [new Variant('s', 'inactive')]);
      return;
    } else {
      service.reply(call);
      return;
    }
    service.signal(managerPath, managerInterface, 'JobRemoved', 'uoss', [this.calls, job, name, 'done']);
  }
}

/** Without a scope, into which only a real manager can move a process. */
const plan = (bus: string): PlannedManager => ({
  kind: 'system',
  bus,
  scope: null,
  guard: null,
  registration: null,
});

const auxiliary = (name: string): PlannedAuxiliary => ({
  name,
  description: 'Daemon',
  required: true,
  binary: '/bin/true',
  arguments: [],
  workingDirectory: directory,
  socket: { kind: 'listening', path: join(directory, name) },
  units: {
    socket: { name: `${name}.socket`, properties: [] },
    service: { name: `${name}.service`, properties: [] },
  },
});

describe('a start in which the manager fails at one step', () => {
  let bus: PrivateBus;
  before(async () => {
    bus = await startBus(directory);
  });
  after(() => bus[Symbol.asyncDispose]());

  /** Enters and starts two daemons; gives everything back; what failed, or null. */
  const attempt = async (systemd: FakeSystemd, signal: AbortSignal): Promise<unknown> => {
    await using _service = await startService(bus.address, 'org.freedesktop.systemd1', (call, service) =>
      systemd.answer(call, service),
    );
    await using connections = new Connections(new AbortController().signal);
    await using child = startEarlyChild();
    await using manager = new UnitManager({
      plan: plan(bus.address),
      machine: 'vm',
      connections,
      environment: {},
      notice: () => {},
    });
    try {
      await manager.enter(child, signal);
      for (const name of ['one', 'two']) {
        await using _daemon = await manager.startAuxiliary(auxiliary(name), signal);
      }
      return null;
    } catch (error) {
      return error;
    }
  };

  test('nothing is left, whichever step it is, refused or given up', async () => {
    const whole = new FakeSystemd();
    assert.equal(await attempt(whole, new AbortController().signal), null);
    assert.deepEqual([...whole.units], []);
    // Two starts, one subscription, and four stops.
    assert.ok(whole.calls >= 7, `${whole.calls} calls`);
    const stops = 4;
    for (let fault = 1; fault <= whole.calls - stops; fault++) {
      const refusing = new FakeSystemd();
      refusing.fault = fault;
      assert.match(String(await attempt(refusing, new AbortController().signal)), /Daemon (one|two) cannot/);
      assert.deepEqual([...refusing.units], [], `refused at call ${fault}`);
      const aborted = new AbortController();
      const mute = new FakeSystemd();
      mute.fault = fault;
      mute.onFault = () => aborted.abort(new Error('enough'));
      assert.match(String(await attempt(mute, aborted.signal)), /enough/);
      assert.deepEqual([...mute.units], [], `given up at call ${fault}`);
    }
  });
});
