import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Message, Variant } from 'dbus-next';
import { Bus } from '../../src/dbus/bus.ts';
import {
  BusClosedError,
  BusError,
  BusProtocolError,
  BusTimeoutError,
  JobError,
} from '../../src/dbus/errors.ts';
import { MachineManager } from '../../src/dbus/machined.ts';
import { SystemdManager } from '../../src/dbus/systemd.ts';
import { temporaryDirectory } from '../temporary.ts';
import { type MockService, startBus, startService } from './private-bus.ts';

const directory = temporaryDirectory();
const managerPath = '/org/freedesktop/systemd1';
const managerInterface = 'org.freedesktop.systemd1.Manager';
const job = `${managerPath}/job/7`;

/** JobRemoved, as systemd sends it. */
function removed(service: MockService, result: string, path = job): void {
  service.signal(managerPath, managerInterface, 'JobRemoved', 'uoss', [7, path, 'x.scope', result]);
}

interface Stage extends AsyncDisposable {
  readonly bus: Bus;
  readonly manager: SystemdManager;
  readonly machines: MachineManager;
  readonly service: MockService;
  readonly kill: () => void;
}

/** A bus with a service in the place of systemd or machined, and us. */
async function stage(
  answer: (call: Message, service: MockService) => void,
  name = 'org.freedesktop.systemd1',
): Promise<Stage> {
  const daemon = await startBus(directory);
  const service = await startService(daemon.address, name, answer);
  const bus = await Bus.connect(daemon.address);
  return {
    bus,
    manager: new SystemdManager(bus),
    machines: new MachineManager(bus),
    service,
    kill: () => daemon.daemon.kill('SIGKILL'),
    async [Symbol.asyncDispose]() {
      await bus[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

describe('jobs', () => {
  test('a transient unit with others beside it', async () => {
    await using it = await stage((call, service) => {
      service.reply(call, 'o', [job]);
      removed(service, 'failed', `${managerPath}/job/8`);
      removed(service, 'done');
    });
    await it.manager.startTransientUnit(
      'vm.scope',
      [
        { name: 'PIDs', signature: 'au', value: [42] },
        { name: 'Description', signature: 's', value: 'Machine é' },
        { name: 'TimeoutStopUSec', signature: 't', value: 90_000_000 },
        { name: 'MemoryMax', signature: 't', value: 2n ** 64n - 1n },
        { name: 'AddRef', signature: 'b', value: true },
      ],
      {
        mode: 'replace',
        auxiliary: [
          {
            name: 'aux.socket',
            properties: [{ name: 'Listen', signature: 'a(ss)', value: [['Stream', '/run/s']] }],
          },
          {
            name: 'aux.service',
            properties: [
              { name: 'ExecStart', signature: 'a(sasb)', value: [['/bin/true', ['true'], false]] },
              { name: 'BindsTo', signature: 'as', value: ['vm.scope'] },
            ],
          },
        ],
      },
    );
    const [call] = it.service.calls;
    assert.equal(call?.path, managerPath);
    assert.equal(call?.interface, managerInterface);
    assert.equal(call?.member, 'StartTransientUnit');
    assert.equal(call?.signature, 'ssa(sv)a(sa(sv))');
    assert.deepEqual(call?.body, [
      'vm.scope',
      'replace',
      [
        ['PIDs', new Variant('au', [42])],
        ['Description', new Variant('s', 'Machine é')],
        ['TimeoutStopUSec', new Variant('t', 90_000_000n)],
        ['MemoryMax', new Variant('t', 2n ** 64n - 1n)],
        ['AddRef', new Variant('b', true)],
      ],
      [
        ['aux.socket', [['Listen', new Variant('a(ss)', [['Stream', '/run/s']])]]],
        [
          'aux.service',
          [
            ['ExecStart', new Variant('a(sasb)', [['/bin/true', ['true'], false]])],
            ['BindsTo', new Variant('as', ['vm.scope'])],
          ],
        ],
      ],
    ]);
  });

  test('the end of a job that comes before its beginning', async () => {
    await using it = await stage((call, service) => {
      removed(service, 'done');
      service.reply(call, 'o', [job]);
    });
    await it.manager.startUnit('a.service', 'fail');
    assert.deepEqual(it.service.calls[0]?.body, ['a.service', 'fail']);
    await it.manager.stopUnit('a.service', 'replace');
    assert.deepEqual(
      [it.service.calls[1]?.member, it.service.calls[1]?.body],
      ['StopUnit', ['a.service', 'replace']],
    );
  });

  test('a job that ends otherwise tells how', async () => {
    for (const result of ['failed', 'timeout', 'dependency', 'canceled']) {
      await using it = await stage((call, service) => {
        service.reply(call, 'o', [job]);
        removed(service, result);
      });
      await assert.rejects(it.manager.startTransientUnit('vm.scope', []), (error) => {
        assert.ok(error instanceof JobError);
        assert.deepEqual([error.unit, error.result], ['vm.scope', result]);
        assert.match(error.message, new RegExp(`start vm.scope .*"${result}"`));
        return true;
      });
    }
  });

  test('a job that was skipped has nothing to complain of', async () => {
    await using it = await stage((call, service) => {
      service.reply(call, 'o', [job]);
      removed(service, 'skipped');
    });
    await it.manager.startUnit('a.service');
    assert.equal(it.service.calls.length, 1);
  });

  test('a job that does not end, and one that is not waited for', async () => {
    await using it = await stage((call, service) => service.reply(call, 'o', [job]));
    await assert.rejects(
      it.manager.startUnit('a.service', 'fail', { timeout: 200 }),
      (error) =>
        error instanceof BusTimeoutError && /start a\.service .*0\.2 s .*unix:path=/.test(error.message),
    );
    const reason = new Error('enough');
    const controller = new AbortController();
    const starting = it.manager.startUnit('a.service', 'fail', { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 50);
    await assert.rejects(starting, reason);
    await assert.rejects(
      it.manager.startUnit('a.service', 'fail', { signal: AbortSignal.abort(reason) }),
      reason,
    );
  });

  test('a bus that dies while a job runs', async () => {
    await using it = await stage((call, service) => service.reply(call, 'o', [job]));
    const starting = it.manager.startUnit('a.service');
    while (it.service.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    it.kill();
    await assert.rejects(starting, BusClosedError);
  });

  test('an error in place of a job', async () => {
    await using it = await stage((call, service) =>
      service.refuse(call, 'org.freedesktop.systemd1.NoSuchUnit', 'Unit a.service not loaded.'),
    );
    await assert.rejects(
      it.manager.stopUnit('a.service'),
      (error) =>
        error instanceof BusError &&
        error.error === 'org.freedesktop.systemd1.NoSuchUnit' &&
        error.message.endsWith('StopUnit: Unit a.service not loaded.'),
    );
  });

  test('a job of another type', async () => {
    for (const [signature, body] of [
      ['u', [7]],
      ['', []],
      ['ao', [[job]]],
    ] as const) {
      await using it = await stage((call, service) => {
        service.signal(managerPath, managerInterface, 'JobRemoved', 'u', [7]);
        service.reply(call, signature, [...body]);
      });
      await assert.rejects(
        it.manager.startUnit('a.service'),
        (error) =>
          error instanceof BusProtocolError &&
          /job to start a\.service on .*unix:path=.* is /.test(error.message),
      );
    }
  });
});

describe('units', () => {
  test('calls about a unit', async () => {
    await using it = await stage((call, service) => service.reply(call));
    await it.manager.abandonScope('a.scope');
    await it.manager.killUnit('a.scope', 'all', 15);
    await it.manager.refUnit('a.scope');
    await it.manager.unrefUnit('a.scope');
    await it.manager.resetFailedUnit('a.scope');
    await it.manager.attachProcesses('a.scope', [1, 2]);
    assert.deepEqual(
      it.service.calls.map(({ member, signature, body }) => [member, signature, ...body]),
      [
        ['AbandonScope', 's', 'a.scope'],
        ['KillUnit', 'ssi', 'a.scope', 'all', 15],
        ['RefUnit', 's', 'a.scope'],
        ['UnrefUnit', 's', 'a.scope'],
        ['ResetFailedUnit', 's', 'a.scope'],
        ['AttachProcessesToUnit', 'ssau', 'a.scope', '', [1, 2]],
      ],
    );
  });

  test('properties', async () => {
    await using it = await stage((call, service) => {
      const [owner, name] = call.body;
      if (name === 'PIDs')
        service.refuse(call, 'org.freedesktop.DBus.Error.UnknownProperty', 'Unknown property');
      else if (name === 'Version') service.reply(call, 'v', [new Variant('s', '257.8')]);
      else service.reply(call, 'v', [new Variant('a(st)', [[`${call.path} ${String(owner)}`, 5n]])]);
    });
    assert.equal(await it.manager.version(), '257.8');
    assert.deepEqual(await it.manager.unitProperties('a-b.scope', 'Scope', ['Slice', 'Result']), {
      Slice: [[`${managerPath}/unit/a_2db_2escope org.freedesktop.systemd1.Scope`, 5n]],
      Result: [[`${managerPath}/unit/a_2db_2escope org.freedesktop.systemd1.Scope`, 5n]],
    });
    await assert.rejects(it.manager.unitProperties('a.scope', 'Scope', ['PIDs']), BusError);
  });

  test('a version that is none', async () => {
    await using it = await stage((call, service) => service.reply(call, 'v', [new Variant('u', 257)]));
    await assert.rejects(it.manager.version(), BusProtocolError);
  });

  test('changes of a unit, and of no other', async () => {
    await using it = await stage((call, service) => {
      if (
        call.member === 'Subscribe' &&
        service.calls.filter(({ member }) => member === 'Subscribe').length > 1
      ) {
        service.refuse(call, 'org.freedesktop.systemd1.AlreadySubscribed', 'Client is already subscribed.');
      } else service.reply(call);
    });
    const changed = (unit: string, signature = 'sa{sv}as', changes: unknown = undefined) =>
      it.service.signal(
        `${managerPath}/unit/${unit}`,
        'org.freedesktop.DBus.Properties',
        'PropertiesChanged',
        signature,
        [
          'org.freedesktop.systemd1.Unit',
          changes ?? { ActiveState: new Variant('s', 'inactive') },
          ...(signature === 'sa{sv}as' ? [[]] : []),
        ],
      );
    const seen: unknown[] = [];
    const watch = await it.manager.watchUnit('a.scope', (properties) => seen.push(properties));
    // Another manager on the same connection is subscribed already.
    await using _other = await new SystemdManager(it.bus).watchUnit('b.scope', () => {});
    changed('a_2escope');
    changed('b_2escope');
    changed('a_2escope', 'ss', 'nothing');
    await it.manager.refUnit('a.scope');
    assert.deepEqual(seen, [{ ActiveState: 'inactive' }]);
    await watch[Symbol.asyncDispose]();
    changed('a_2escope');
    await it.manager.refUnit('a.scope');
    assert.equal(seen.length, 1);
  });
});

describe('machined', () => {
  test('a machine is registered, asked for and forgotten', async () => {
    await using it = await stage((call, service) => {
      if (call.member !== 'Get') service.reply(call);
      else if (call.body[1] === 'Leader') service.reply(call, 'v', [new Variant('u', 42)]);
      else service.reply(call, 'v', [new Variant('s', `${call.path} ${call.body.join(' ')}`)]);
    }, 'org.freedesktop.machine1');
    const id = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
    await it.machines.register({
      name: 'a-b',
      id,
      service: 'vmspawn',
      class: 'vm',
      leader: 42,
      rootDirectory: '',
      interfaces: [3, 4],
    });
    const [call] = it.service.calls;
    assert.equal(call?.member, 'RegisterMachineWithNetwork');
    assert.equal(call?.signature, 'sayssusai');
    assert.deepEqual(call?.body, ['a-b', id, 'vmspawn', 'vm', 42, '', [3, 4]]);
    const place = '/org/freedesktop/machine1/machine/a_2db org.freedesktop.machine1.Machine';
    assert.equal(await it.machines.state('a-b'), `${place} State`);
    assert.equal(await it.machines.unit('a-b'), `${place} Unit`);
    assert.equal(await it.machines.leader('a-b'), 42);
    await it.machines.unregister('a-b');
    assert.deepEqual(it.service.calls.at(-1)?.body, ['a-b']);
  });

  test('answers of another type', async () => {
    await using it = await stage(
      (call, service) => service.reply(call, 'v', [new Variant('as', ['x'])]),
      'org.freedesktop.machine1',
    );
    await assert.rejects(it.machines.state('a'), BusProtocolError);
    await assert.rejects(it.machines.unit('a'), BusProtocolError);
    await assert.rejects(it.machines.leader('a'), BusProtocolError);
  });
});
