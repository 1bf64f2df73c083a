import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Variant } from 'dbus-next';
import { ManagerError } from '../../src/errors.ts';
import { Connections } from '../../src/host/connections.ts';
import { NameTakenError, Registration } from '../../src/manager/registration.ts';
import type { PlannedRegistration } from '../../src/plan/plan.ts';
import { listenUnix } from '../../src/sys/unix-listener.ts';
import { VarlinkError, VarlinkServer } from '../../src/varlink/index.ts';
import { startBus, startService } from '../dbus/private-bus.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();
const description = `interface io.systemd.Machine
method Register(name: string, id: ?string, service: ?string, class: string, leader: ?int, allocateUnit: ?bool) -> ()
method Unregister(name: string) -> ()
method List(name: string) -> (service: string)
error MachineExists()
`;
const exists = new VarlinkError('io.systemd.Machine.MachineExists');
const never = new AbortController().signal;

interface Machined extends AsyncDisposable {
  readonly calls: [string, Readonly<Record<string, unknown>>][];
  readonly socket: string;
}

let sockets = 0;
/** machined by varlink; `register` answers the calls to register, counted from 1; `owner` registered what is there. */
function fakeMachined(register: (count: number) => Promise<void> | void, owner = 'vmspawn'): Machined {
  sockets += 1;
  const socket = join(directory, `machined-${sockets}`);
  const calls: Machined['calls'] = [];
  let count = 0;
  const server = new VarlinkServer({
    vendor: 'test',
    product: 'test',
    version: '1',
    url: '',
    interfaces: [
      {
        description,
        methods: {
          Register: async ({ parameters }) => {
            calls.push(['Register', parameters]);
            count += 1;
            await register(count);
          },
          Unregister: async ({ parameters }) => void calls.push(['Unregister', parameters]),
          List: async ({ parameters }) => {
            calls.push(['List', parameters]);
            return { service: owner };
          },
        },
      },
    ],
  });
  const listener = listenUnix(socket);
  server.listen(listener.fd);
  listener.releaseDescriptor({ close: false });
  return {
    calls,
    socket,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

const planned = (socket: string, via: PlannedRegistration['via'] = 'varlink'): PlannedRegistration => ({
  required: false,
  via,
  socket,
  fields: { name: 'vm', id: '00112233445566778899aabbccddeeff', service: 'vmspawn', class: 'vm' },
  leader: 'qemu',
});

test('a machine is registered once and forgotten once', async () => {
  await using machined = fakeMachined(() => {});
  await using connections = new Connections(never);
  const registration = new Registration(planned(machined.socket), 'unix:path=/missing', connections);
  await registration.unregister();
  await registration.register(42, true, never);
  await registration.unregister();
  await registration.unregister();
  const { fields } = planned('');
  assert.deepEqual(machined.calls, [
    ['Register', { ...fields, leader: 42, allocateUnit: true }],
    ['Unregister', { name: 'vm' }],
  ]);
});

test('a machine of ours that a killed supervisor has left is forgotten', async () => {
  await using machined = fakeMachined((count) => {
    if (count < 3) throw exists;
  });
  await using connections = new Connections(never);
  const registration = new Registration(planned(machined.socket), 'unix:path=/missing', connections);
  await registration.register(42, false, never);
  assert.deepEqual(
    machined.calls.map(([method]) => method),
    ['Register', 'List', 'Unregister', 'Register', 'List', 'Unregister', 'Register'],
  );
});

test("another's machine is not forgotten", async () => {
  await using machined = fakeMachined(() => {
    throw exists;
  }, 'systemd-nspawn');
  await using connections = new Connections(never);
  const registration = new Registration(planned(machined.socket), 'unix:path=/missing', connections);
  await assert.rejects(registration.register(42, false, never), NameTakenError);
  assert.deepEqual(
    machined.calls.map(([method]) => method),
    ['Register', 'List'],
  );
});

test('a refusal is told at once, and then there is nothing to forget', async () => {
  await using machined = fakeMachined(() => {
    throw new VarlinkError('org.varlink.service.PermissionDenied');
  });
  await using connections = new Connections(never);
  const registration = new Registration(planned(machined.socket), 'unix:path=/missing', connections);
  await assert.rejects(registration.register(42, false, never), (error) => {
    assert.ok(error instanceof ManagerError);
    assert.match(error.message, /systemd-machined does not register the machine vm/);
    assert.match(String(error.cause), /PermissionDenied/);
    return true;
  });
  await registration.unregister();
  assert.equal(machined.calls.length, 1);
});

test('a machined that never answers: the start can be given up', async () => {
  const start = new AbortController();
  await using machined = fakeMachined(() => {
    start.abort(new Error('enough'));
    return new Promise((resolve) => setTimeout(resolve, 200));
  });
  await using connections = new Connections(never);
  const registration = new Registration(planned(machined.socket), 'unix:path=/missing', connections);
  await assert.rejects(registration.register(42, false, start.signal), /enough/);
  // It did it all the same.
  assert.equal(await registration.unregister(), true);
  assert.deepEqual(
    machined.calls.map(([method]) => method),
    ['Register', 'Unregister'],
  );
});

test('a machined that goes away, or is not there', async () => {
  const machined = fakeMachined(() => {
    void machined[Symbol.asyncDispose]();
    return new Promise(() => {});
  });
  await using connections = new Connections(never);
  const registration = new Registration(planned(machined.socket), 'unix:path=/missing', connections);
  for (let attempt = 0; attempt < 2; attempt++) {
    await assert.rejects(registration.register(42, false, never), ManagerError);
  }
  await registration.unregister();
  assert.equal(await registration.terminating(), false);
});

test("a name that is another machine's, whose service is told", async () => {
  await using bus = await startBus(directory);
  await using _machined = await startService(bus.address, 'org.freedesktop.machine1', (call, service) => {
    if (call.member === 'Get') service.reply(call, 'v', [new Variant('s', 'libvirt-qemu')]);
    else service.refuse(call, 'org.freedesktop.machine1.MachineExists', 'Machine vm already exists');
  });
  await using connections = new Connections(never);
  const registration = new Registration(planned('/missing', 'dbus'), bus.address, connections);
  await assert.rejects(registration.register(42, false, never), (error) => {
    assert.ok(error instanceof NameTakenError);
    assert.equal(error.message, 'The name vm is taken by another machine (of libvirt-qemu)');
    return true;
  });
});

test('by D-Bus: registered, closing, forgotten', async () => {
  await using bus = await startBus(directory);
  await using machined = await startService(bus.address, 'org.freedesktop.machine1', (call, service) => {
    if (call.member === 'Get') service.reply(call, 'v', [new Variant('s', 'closing')]);
    else service.reply(call);
  });
  await using connections = new Connections(never);
  const registration = new Registration(planned('/missing', 'dbus'), bus.address, connections);
  assert.equal(await registration.terminating(), false);
  await registration.register(42, false, never);
  assert.equal(await registration.terminating(), true);
  await registration.unregister();
  assert.deepEqual(
    machined.calls.map(({ member }) => member),
    ['RegisterMachineWithNetwork', 'Get', 'UnregisterMachine'],
  );
});
