import { type ChildProcess, spawn } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Message, type MessageBus, sessionBus } from 'dbus-next';
import { write } from '../temporary.ts';

/** A bus of the tests' own, on which everything is allowed. */
export interface PrivateBus extends AsyncDisposable {
  readonly address: string;
  readonly daemon: ChildProcess;
}

export async function startBus(
  directory: string,
  name = 'bus',
  address = `unix:path=${join(directory, name)}`,
): Promise<PrivateBus> {
  rmSync(join(directory, name), { force: true });
  const configuration = write(
    join(directory, `${name}.conf`),
    `<busconfig>
      <type>session</type>
      <listen>${address}</listen>
      <policy context="default">
        <allow send_destination="*" eavesdrop="true"/>
        <allow eavesdrop="true"/>
        <allow own="*"/>
      </policy>
    </busconfig>`,
  );
  const daemon = spawn('dbus-daemon', [`--config-file=${configuration}`, '--nofork', '--print-address'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(createInterface(daemon.stdout), 'line');
  return {
    address,
    daemon,
    async [Symbol.asyncDispose]() {
      const gone = daemon.exitCode ?? daemon.signalCode;
      daemon.kill('SIGKILL');
      if (gone === null) await once(daemon, 'exit');
    },
  };
}

/** A service on a bus; `answer` gets every call. */
export interface MockService extends AsyncDisposable {
  readonly bus: MessageBus;
  readonly calls: Message[];
  reply(call: Message, signature?: string, body?: unknown[]): void;
  refuse(call: Message, error: string, text: string): void;
  signal(path: string, name: string, member: string, signature: string, body: unknown[]): void;
}

export async function startService(
  address: string,
  name: string,
  answer: (call: Message, service: MockService) => void,
): Promise<MockService> {
  const bus = sessionBus({ busAddress: address });
  // The package's types know of no errors.
  (bus as EventEmitter).on('error', () => {});
  const service: MockService = {
    bus,
    calls: [],
    reply: (call, signature = '', body = []) => bus.send(Message.newMethodReturn(call, signature, body)),
    refuse: (call, error, text) => bus.send(Message.newError(call, error, text)),
    signal: (path, owner, member, signature, body) =>
      bus.send(Message.newSignal(path, owner, member, signature, body)),
    async [Symbol.asyncDispose]() {
      bus.disconnect();
    },
  };
  bus.addMethodHandler((call) => {
    service.calls.push(call);
    answer(call, service);
    return true;
  });
  await bus.requestName(name);
  return service;
}
