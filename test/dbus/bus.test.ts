import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Message, Variant } from 'dbus-next';
import { Bus } from '../../src/dbus/bus.ts';
import { BusConnectError, BusError } from '../../src/dbus/errors.ts';
import { temporaryDirectory } from '../temporary.ts';
import { startBus, startService } from './private-bus.ts';

const directory = temporaryDirectory();
const self = { destination: 'test.Service', path: '/test', interface: 'test.Interface' };

describe('a bus', () => {
  test('every type arrives right, there and back', async () => {
    await using daemon = await startBus(directory);
    const variant = (signature: string, value: unknown) => new Variant(signature, value);
    await using service = await startService(daemon.address, 'test.Service', (call, { reply }) =>
      reply(call, call.signature, call.body),
    );
    await using bus = await Bus.connect(daemon.address);
    assert.match(bus.uniqueName, /^:1\.\d+$/);
    const body: unknown[] = [
      'é',
      true,
      7,
      2n ** 63n,
      [1, 2 ** 32 - 1],
      ['a', ''],
      [['k', 'v']],
      [['/bin/true', ['true', '-x'], false]],
      [
        ['PIDs', [1]],
        ['Delegate', true],
        ['TimeoutStopUSec', 30_000_000n],
      ],
      Buffer.from([1, 2, 255]),
    ];
    const given = [...body];
    given[8] = [
      ['PIDs', { signature: 'au', value: [1] }],
      ['Delegate', { signature: 'b', value: true }],
      ['TimeoutStopUSec', { signature: 't', value: 30_000_000 }],
    ];
    const signature = 'sbutauasa(ss)a(sasb)a(sv)ay';
    const call = { ...self, member: 'Echo', signature };
    assert.deepEqual(await bus.call({ ...call, body: given }), body);
    const arrived = [...body];
    arrived[8] = [
      ['PIDs', variant('au', [1])],
      ['Delegate', variant('b', true)],
      ['TimeoutStopUSec', variant('t', 30_000_000n)],
    ];
    assert.deepEqual(service.calls[0]?.body, arrived);
    assert.equal(service.calls[0]?.signature, signature);
    await assert.rejects(bus.call({ ...call, body: [1] }), TypeError);
    assert.deepEqual(await bus.call({ ...self, member: 'Nothing' }), []);
  });

  test('over a stream, and over the first place of an address that works', async () => {
    await using daemon = await startBus(directory);
    const names = {
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'ListNames',
    };
    const stream = createConnection(join(directory, 'bus'));
    await using first = await Bus.connect(stream);
    await using second = await Bus.connect(`tcp:host=x,port=1;unix:path=/missing;${daemon.address}`);
    assert.deepEqual(await second.call(names), [
      ['org.freedesktop.DBus', first.uniqueName, second.uniqueName],
    ]);
    await first[Symbol.asyncDispose]();
    assert.equal(await first.closed, null);
    assert.ok(stream.destroyed);
    await assert.rejects(first.call(names), /closed here/);
    assert.equal((await second.call({ ...names })).length, 1);
    await assert.rejects(
      Bus.connect('unix:path=/missing;unix:path=/missing-too'),
      (error) =>
        error instanceof BusConnectError &&
        error.message.includes('unix:path=/missing:') &&
        error.message.includes('unix:path=/missing-too:'),
    );
  });

  test('an abstract socket is reached where Node can reach it', async () => {
    const address = `unix:abstract=vmspawn-test-${process.pid}`;
    await using _daemon = await startBus(directory, 'abstract', address);
    const connecting = Bus.connect(address);
    if (Number.parseInt(process.versions.node, 10) < 22) {
      await assert.rejects(connecting, /unix:abstract=vmspawn-test-.*ECONNREFUSED @vmspawn-test/);
    } else await (await connecting)[Symbol.asyncDispose]();
  });

  test('an error tells its name and the words of the other side', async () => {
    await using daemon = await startBus(directory);
    await using _service = await startService(daemon.address, 'test.Service', (call, { refuse }) =>
      refuse(call, 'test.Error.No', 'not today'),
    );
    await using bus = await Bus.connect(daemon.address);
    await assert.rejects(bus.call({ ...self, member: 'Do' }), (error) => {
      assert.ok(error instanceof BusError);
      assert.equal(error.error, 'test.Error.No');
      assert.equal(error.description, 'not today');
      assert.match(
        error.message,
        /test\.Service on the bus at unix:path=.* refused test\.Interface\.Do: not today$/,
      );
      return true;
    });
    await assert.rejects(
      bus.call({ ...self, destination: 'no.Such', member: 'Do' }),
      (error) => error instanceof BusError && error.error === 'org.freedesktop.DBus.Error.ServiceUnknown',
    );
  });

  test('signals: those asked for, from the one who has the name, until disposal', async () => {
    await using daemon = await startBus(directory);
    await using bus = await Bus.connect(daemon.address);
    const heard: unknown[] = [];
    const match = {
      sender: 'test.Service',
      path: '/test',
      interface: 'test.Interface',
      member: 'Told',
      arg0: "it's",
    };
    // Nobody has the name yet.
    const watch = await bus.onSignal(match, ({ path, body }) => heard.push([path, ...body]));
    await using other = await startService(daemon.address, 'test.Other', () => {});
    await using service = await startService(daemon.address, 'test.Service', (call, { reply }) =>
      reply(call),
    );
    const tell = (from: typeof service, value: string, member = 'Told') => {
      // To all, and to us alone, which no match can keep away.
      for (const destination of [undefined, bus.uniqueName]) {
        const message = Message.newSignal('/test', 'test.Interface', member, 's', [value]);
        if (destination !== undefined) message.destination = destination;
        from.bus.send(message);
      }
    };
    const settled = () => bus.call({ ...self, member: 'Ping' });
    tell(other, "it's");
    await other.bus.requestName('test.Third');
    tell(service, 'else');
    tell(service, "it's", 'Whispered');
    await settled();
    assert.deepEqual(heard, []);
    tell(service, "it's");
    await settled();
    assert.deepEqual(heard, [
      ['/test', "it's"],
      ['/test', "it's"],
    ]);
    // The name gets another owner.
    await service.bus.releaseName('test.Service');
    await other.bus.requestName('test.Service');
    tell(service, "it's");
    await service.bus.requestName('test.Fourth');
    assert.equal(heard.length, 2);
    tell(other, "it's");
    await bus.call({ ...self, destination: 'test.Fourth', member: 'Ping' });
    await watch[Symbol.asyncDispose]();
    assert.equal(heard.length, 4);
    tell(other, "it's");
    await other.bus.requestName('test.Fifth');
    await bus.call({ ...self, destination: 'test.Fourth', member: 'Ping' });
    assert.equal(heard.length, 4);
  });
});
