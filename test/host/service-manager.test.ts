import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { HostError } from '../../src/errors.ts';
import { Connections } from '../../src/host/connections.ts';
import type { MachinedFacts, Usable } from '../../src/host/facts.ts';
import { type ManagerProbe, probeServiceManager } from '../../src/host/service-manager.ts';
import { listenUnix } from '../../src/sys/unix-listener.ts';
import { VarlinkServer } from '../../src/varlink/index.ts';
import { startBus } from '../dbus/private-bus.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();
const never = new AbortController().signal;
let hosts = 0;

/** A /run of its own, and where machined's socket would be in it. */
function host(): { run: string; socket: string } {
  hosts += 1;
  const run = join(directory, `run-${hosts}`);
  const socket = join(run, 'systemd/machine/io.systemd.Machine');
  mkdirSync(dirname(socket), { recursive: true });
  return { run, socket };
}

async function probe(
  run: string,
  bus: string,
  rest: Partial<ManagerProbe> & { kind?: 'system' | 'user' } = {},
) {
  await using connections = new Connections(never);
  const { kind = 'system', ...more } = rest;
  return await probeServiceManager({
    choice: { kind, runtimeDirectory: run, forced: false },
    environment: { DBUS_SYSTEM_BUS_ADDRESS: bus, DBUS_SESSION_BUS_ADDRESS: bus },
    connections,
    register: true,
    units: false,
    ...more,
  });
}

type Facts = Awaited<ReturnType<typeof probe>>;
function machined(facts: Facts): Usable<MachinedFacts> {
  assert.ok(facts.usable);
  return facts.machined;
}

/** machined's own description, by varlink. */
function serve(socket: string, members: string): AsyncDisposable {
  const server = new VarlinkServer({
    vendor: 'test',
    product: 'test',
    version: '1',
    url: '',
    interfaces: [
      {
        description: `interface io.systemd.Machine\nmethod Register(name: string${members}) -> ()\n`,
        methods: { Register: async () => {} },
      },
    ],
  });
  const listener = listenUnix(socket);
  server.listen(listener.fd);
  listener.releaseDescriptor({ close: false });
  return {
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

test('what machined can do is read from its description', async () => {
  for (const [members, allocatesUnits, controlAddress] of [
    ['', false, false],
    [', allocateUnit: ?bool', true, false],
    [', allocateUnit: ?bool, controlAddress: ?string', true, true],
  ] as const) {
    const { run, socket } = host();
    await using _machined = serve(socket, members);
    const facts = machined(await probe(run, 'unix:path=/missing'));
    assert.deepEqual(facts, { usable: true, via: 'varlink', socket, allocatesUnits, controlAddress });
  }
});

test('no socket: the bus is asked to start machined, and its no is no failure', async () => {
  const { run } = host();
  await using bus = await startBus(directory);
  const system = machined(await probe(run, bus.address));
  assert.match(
    system.usable ? '' : system.reason,
    /systemd-machined cannot be started \(.*org\.freedesktop\.machine1/,
  );
  const user = machined(await probe(run, 'unix:path=/missing', { kind: 'user' }));
  assert.match(user.usable ? '' : user.reason, /no machined runs for users/);
});

test('a socket that nobody serves: the system has the bus, a user nothing', async () => {
  const { run, socket } = host();
  const dead = createServer((peer: Socket) => void peer.destroy());
  await new Promise<void>((resolve) => dead.listen(socket, resolve));
  const system = machined(await probe(run, 'unix:path=/missing'));
  assert.deepEqual(system.usable && system.via, 'dbus');
  const user = machined(await probe(run, 'unix:path=/missing', { kind: 'user' }));
  assert.match(user.usable ? '' : user.reason, /machined does not answer/);
  dead.close();
});

test('a bus that cannot be had is a failure with a way out', async () => {
  const { run } = host();
  await assert.rejects(probe(run, 'unix:path=/missing', { units: true }), (error) => {
    assert.ok(error instanceof HostError);
    assert.match(error.message, /The service manager cannot be reached/);
    assert.match(String(error.cause), /unix:path=\/missing/);
    assert.match(error.hint ?? '', /--manager=none/);
    return true;
  });
});

test('a bus that only machined is wanted of is no reason to stop', async () => {
  const { run } = host();
  const facts = machined(await probe(run, 'unix:path=/missing'));
  assert.ok(!facts.usable);
  assert.match(facts.reason, /The service manager cannot be reached.*unix:path=\/missing/);
});

test('nothing is asked that nobody needs to know', async () => {
  const { run } = host();
  const facts = await probe(run, 'unix:path=/missing', { register: false });
  assert.ok(facts.usable);
  assert.deepEqual(facts.machined, { usable: false, reason: '--register=no was given' });
  assert.equal(facts.sameMounts, true);
  const none = await probeServiceManager({
    choice: { kind: 'none', reason: 'of no importance', wanted: null },
    environment: {},
    connections: new Connections(never),
    register: true,
    units: true,
  });
  assert.deepEqual(none, { usable: false, reason: 'of no importance' });
});
