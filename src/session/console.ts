import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WindowSize } from '../console/hub.ts';
import { FileError, MachineError } from '../errors.ts';
import { VarlinkClient } from '../varlink/client.ts';
import { VarlinkError, VarlinkFailure } from '../varlink/errors.ts';
import { AttachedConsole } from './attached-console.ts';
import type { FoundMachine } from './machines.ts';

/** Milliseconds for a machine that listens already to run, and between two tries. */
const startTimeout = 120_000;
const startPause = 100;

export interface AttachOptions {
  readonly write: 'no' | 'ask' | 'steal';
  /** At most so many bytes of what the console showed before come first. */
  readonly history: number;
  /** Of the user's window, where there is one. */
  readonly size: WindowSize | null;
  /** Called once when the machine is still being started, which is waited for. */
  readonly waiting: () => void;
}

/** Attaches to a machine's console. Throws MachineError: it has none, somebody else writes, it has just ended. */
export async function attachConsole(machine: FoundMachine, options: AttachOptions): Promise<AttachedConsole> {
  const { write, history, size, waiting } = options;
  const parameters = { write: write !== 'no', steal: write === 'steal', history, ...size };
  const { stream, reply } = await upgraded(machine, 'Attach', parameters, waiting);
  const before = reply.parameters['history'];
  return new AttachedConsole(stream, typeof before === 'number' ? before : 0);
}

/** What a machine's console has shown, as far as it is kept; then what it shows if it is to follow. Throws MachineError. */
export async function consoleLog(
  machine: FoundMachine,
  { follow, waiting }: { readonly follow: boolean; readonly waiting: () => void },
): Promise<Duplex> {
  return (await upgraded(machine, 'Log', { follow }, waiting)).stream;
}

/** Calls a method of io.systemd.MachineInstance that takes and gives nothing. Throws MachineError. */
export async function controlMachine(
  machine: FoundMachine,
  method: 'Terminate' | 'PowerOff' | 'Reboot',
): Promise<void> {
  try {
    await using client = await VarlinkClient.connect(machine.control);
    await client.call(`io.systemd.MachineInstance.${method}`);
  } catch (error) {
    throw described(machine, error);
  }
}

async function upgraded(
  machine: FoundMachine,
  method: 'Attach' | 'Log',
  parameters: object,
  waiting: () => void,
): ReturnType<VarlinkClient['upgrade']> {
  const end = performance.now() + startTimeout;
  for (let told = false; ; ) {
    try {
      return await upgrade(machine, method, parameters);
    } catch (error) {
      const starting = error instanceof VarlinkError && error.error === 'org.vmspawn.Console.NotRunning';
      if (!starting || performance.now() > end) throw described(machine, error);
    }
    if (!told) waiting();
    told = true;
    await sleep(startPause);
  }
}

async function upgrade(
  { control }: FoundMachine,
  method: 'Attach' | 'Log',
  parameters: object,
): ReturnType<VarlinkClient['upgrade']> {
  await using client = await VarlinkClient.connect(control);
  return await client.upgrade(`org.vmspawn.Console.${method}`, parameters);
}

/** An error of the protocol in words for the user. */
function described({ name, control }: FoundMachine, error: unknown): unknown {
  if (!(error instanceof VarlinkFailure)) return error;
  switch (error instanceof VarlinkError ? error.error : null) {
    case 'org.vmspawn.Console.Busy':
      return new MachineError(`Somebody else writes to the console of machine ${name}`, {
        hint: 'Use --read-only to watch, or --steal to take over.',
      });
    case 'org.vmspawn.Console.NoConsole':
      return new MachineError(`Machine ${name} has no console to attach to`, {
        hint: 'It was started with --console=native or --console=gui.',
      });
    case 'org.vmspawn.Console.NotRunning':
    case 'io.systemd.MachineInstance.NotConnected':
      return new MachineError(`Machine ${name} does not run yet`);
    case 'org.varlink.service.InterfaceNotFound':
      return new MachineError(`Machine ${name} was started by a vmspawn that keeps no console`);
  }
  return new FileError(`Machine ${name} does not answer on ${control}`, { cause: error });
}
