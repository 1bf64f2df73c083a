import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { childCommand } from '../../src/child/child-program.ts';
import { type ControlledMachine, runningMachine, startingMachine } from '../../src/control/machine.ts';
import { type ControlServer, mayControl, serveControl } from '../../src/control/server.ts';
import { QmpConnectionError, QmpError, QmpTimeoutError } from '../../src/qemu/errors.ts';
import { SystemCallError } from '../../src/sys/koffi.ts';
import { PathTooLongError } from '../../src/sys/unix-address.ts';
import { VarlinkClient, VarlinkError } from '../../src/varlink/index.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();
const method = (name: string) => `io.systemd.MachineInstance.${name}`;

let sockets = 0;
function serve(machine: ControlledMachine): Promise<ControlServer & { path: string }> {
  sockets += 1;
  const path = join(directory, `control-${sockets}`);
  return serveControl({ path, version: '1.2.3', machine }).then((server) => Object.assign(server, { path }));
}

/** Writes down what it is told. */
function fakeMachine(told: string[]): ControlledMachine {
  return {
    describe: async () => ({ running: true, status: 'running' }),
    powerOff: () => void told.push('powerOff'),
    reboot: async () => void told.push('reboot'),
    terminate: () => void told.push('terminate'),
    console: () => null,
  };
}

const failing = (error: Error): ControlledMachine => ({
  ...fakeMachine([]),
  describe: () => Promise.reject(error),
  reboot: () => Promise.reject(error),
});

async function call(client: VarlinkClient, name: string, parameters: object = {}): Promise<unknown> {
  return (await client.call(method(name), parameters)).parameters;
}

function isError(name: string, parameters: object = {}) {
  return (error: unknown) => {
    assert.ok(error instanceof VarlinkError, String(error));
    assert.equal(error.error, name);
    assert.deepEqual(error.parameters, parameters);
    return true;
  };
}

test('it says who it is and describes its interface', async () => {
  await using server = await serve(fakeMachine([]));
  await using client = await VarlinkClient.connect(server.path);
  const { parameters } = await client.call('org.varlink.service.GetInfo');
  assert.equal(parameters['product'], 'vmspawn');
  assert.equal(parameters['version'], '1.2.3');
  assert.deepEqual(parameters['interfaces'], [
    'org.varlink.service',
    'io.systemd.MachineInstance',
    'org.vmspawn.Console',
  ]);
  const described = await client.call('org.varlink.service.GetInterfaceDescription', {
    interface: 'io.systemd.MachineInstance',
  });
  const text = String(described.parameters['description']);
  const methods = [...text.matchAll(/^method (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(methods, ['Terminate', 'PowerOff', 'Reboot', 'Describe']);
});

test('calls reach the machine, and their replies are empty', async () => {
  const told: string[] = [];
  await using server = await serve(fakeMachine(told));
  await using client = await VarlinkClient.connect(server.path);
  assert.deepEqual(await call(client, 'Describe'), { running: true, status: 'running' });
  for (const name of ['PowerOff', 'Reboot', 'PowerOff', 'Terminate']) {
    assert.deepEqual(await call(client, name), {});
  }
  assert.deepEqual(told, ['powerOff', 'reboot', 'powerOff', 'terminate']);
});

test('a parameter that no method takes is refused, and nothing is done', async () => {
  const told: string[] = [];
  await using server = await serve(fakeMachine(told));
  await using client = await VarlinkClient.connect(server.path);
  await assert.rejects(
    call(client, 'Terminate', { force: true }),
    isError('org.varlink.service.InvalidParameter', { parameter: 'force' }),
  );
  assert.deepEqual(told, []);
});

test('before QEMU runs the state is prelaunch, and power-off and terminate give the start up', async () => {
  const reasons: string[] = [];
  await using server = await serve(startingMachine((reason) => reasons.push(reason)));
  await using client = await VarlinkClient.connect(server.path);
  assert.deepEqual(await call(client, 'Describe'), { running: false, status: 'prelaunch' });
  await assert.rejects(call(client, 'Reboot'), isError(method('NotConnected')));
  assert.deepEqual(reasons, []);
  await call(client, 'PowerOff');
  assert.equal(reasons.length, 1);
  await call(client, 'Terminate');
  assert.equal(reasons.length, 2);
});

test('an attached machine is told from then on, on connections of before too', async () => {
  const told: string[] = [];
  await using server = await serve(startingMachine(() => assert.fail('the start is over')));
  await using client = await VarlinkClient.connect(server.path);
  assert.deepEqual(await call(client, 'Describe'), { running: false, status: 'prelaunch' });
  server.attach(fakeMachine(told));
  assert.deepEqual(await call(client, 'Describe'), { running: true, status: 'running' });
  await call(client, 'PowerOff');
  assert.deepEqual(told, ['powerOff']);
});

test('a running machine is asked over QMP', async () => {
  const commands: string[] = [];
  const execute = async (name: string) => {
    commands.push(name);
    return name === 'query-status' ? { running: false, status: 'paused' } : undefined;
  };
  const machine = runningMachine({ execute } as Parameters<typeof runningMachine>[0], fakeMachine(commands));
  await using server = await serve(machine);
  await using client = await VarlinkClient.connect(server.path);
  assert.deepEqual(await call(client, 'Describe'), { running: false, status: 'paused' });
  for (const name of ['Reboot', 'PowerOff', 'Terminate']) await call(client, name);
  assert.deepEqual(commands, ['query-status', 'system_reset', 'powerOff', 'terminate']);
});

test('failures of QMP are told by the names that clients of systemd know', async () => {
  const refusal = new QmpError('system_reset', { class: 'GenericError', description: 'no' });
  const system = (errno: number, errnoName: string) =>
    isError('io.systemd.System', { origin: 'linux', errno, errnoName });
  for (const [error, check] of [
    [new QmpConnectionError('QEMU is gone'), isError(method('NotConnected'))],
    [new QmpTimeoutError('QEMU hangs'), system(110, 'ETIMEDOUT')],
    [refusal, system(5, 'EIO')],
  ] as const) {
    await using server = await serve(failing(error));
    await using client = await VarlinkClient.connect(server.path);
    await assert.rejects(call(client, 'Reboot'), check);
    await assert.rejects(call(client, 'Describe'), check);
    // The connection goes on.
    assert.deepEqual(await call(client, 'PowerOff'), {});
  }
});

test('the socket is for its owner alone, and goes with the server', async () => {
  const { umask } = process;
  const old = umask(0);
  const server = await serve(fakeMachine([]));
  umask(old);
  const found = lstatSync(server.path);
  assert.ok(found.isSocket());
  assert.equal(found.mode & 0o777, 0o600);
  await server[Symbol.asyncDispose]();
  assert.equal(lstatSync(server.path, { throwIfNoEntry: false }), undefined);
});

test('only the user of the machine and root may control it', () => {
  assert.ok(mayControl({ uid: 0 }, 1000));
  assert.ok(mayControl({ uid: 1000 }, 1000));
  assert.ok(!mayControl({ uid: 1001 }, 1000));
  assert.ok(!mayControl({ uid: 1001 }, 0));
  assert.ok(!mayControl({ uid: 1001 }, undefined));
  assert.ok(!mayControl(null, 1000));
});

test('whoever gets to the socket in spite of its mode is hung up on, unless he may control the machine', async () => {
  // Only root can be somebody else; the rule itself is tested above.
  if (process.geteuid?.() !== 0) return;
  const told: string[] = [];
  await using server = await serve(fakeMachine(told));
  chmodSync(directory, 0o755);
  chmodSync(server.path, 0o666);
  const [program, ...words] = childCommand('native', ['stop', server.path]);
  const nobody = { uid: 65534, gid: 65534 };
  const child = spawn(program, words, { stdio: ['ignore', 'inherit', 'inherit'], ...nobody });
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.deepEqual(told, []);
});

test('connections are closed by disposal and not before; no descriptor is left', async () => {
  const before = openDescriptors();
  const server = await serve(fakeMachine([]));
  const client = await VarlinkClient.connect(server.path);
  let closed = false;
  const end = client.closed.then(() => {
    closed = true;
  });
  await call(client, 'PowerOff');
  server.attach(fakeMachine([]));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(closed, false);
  await server[Symbol.asyncDispose]();
  await end;
  await client[Symbol.asyncDispose]();
  assert.deepEqual(openDescriptors(), before);
});

test('a reply is there although the server is disposed of right away', async () => {
  const server = await serve({
    ...fakeMachine([]),
    terminate: () => void server[Symbol.asyncDispose](),
  });
  await using client = await VarlinkClient.connect(server.path);
  assert.deepEqual(await call(client, 'Terminate'), {});
  await client.closed;
  await server[Symbol.asyncDispose]();
});

for (const flavour of ['native', 'node'] as const) {
  test(`the guard's stop powers off and waits for the server's end, ${flavour}`, async () => {
    const told: string[] = [];
    let powered = () => {};
    const poweredOff = new Promise<void>((resolve) => {
      powered = resolve;
    });
    const server = await serve({
      ...fakeMachine(told),
      powerOff: () => {
        told.push('powerOff');
        powered();
      },
    });
    const [program, ...words] = childCommand(flavour, ['stop', server.path]);
    const child = spawn(program, words, { stdio: ['ignore', 'inherit', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await poweredOff;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(child.exitCode, null);
    await server[Symbol.asyncDispose]();
    assert.equal(await ended, 0);
    assert.deepEqual(told, ['powerOff']);
  });
}

test('a socket that cannot be made is told, and nothing is left', async () => {
  const before = openDescriptors();
  const taken = join(directory, 'taken');
  mkdirSync(taken);
  const machine = fakeMachine([]);
  const code = (wanted: string) => (error: unknown) =>
    error instanceof SystemCallError && error.code === wanted;
  await assert.rejects(serveControl({ path: taken, version: '', machine }), code('EADDRINUSE'));
  const missing = join(directory, 'missing', 'control');
  await assert.rejects(serveControl({ path: missing, version: '', machine }), code('ENOENT'));
  const long = join(directory, 'x'.repeat(100));
  await assert.rejects(serveControl({ path: long, version: '', machine }), PathTooLongError);
  assert.deepEqual(openDescriptors(), before);
});

function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return [];
    }
  });
}
