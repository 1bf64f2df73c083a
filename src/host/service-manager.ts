import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { systemBusAddress, userBusAddress } from '../dbus/address.ts';
import { describeError, HostError } from '../errors.ts';
import { codeOf } from '../sys/error-code.ts';
import type { Connections } from './connections.ts';
import { controlGroup } from './control-group.ts';
import type { MachinedFacts, ManagerFacts, Usable } from './facts.ts';
import type { Environment } from './identity.ts';
import type { ManagerChoice } from './manager-kind.ts';

export interface ManagerProbe {
  readonly choice: ManagerChoice;
  readonly environment: Environment;
  readonly connections: Connections;
  /** Whether the machine is to be registered with machined at all. */
  readonly register: boolean;
  /** Whether units will be made, so that it matters whether the manager sees the same processes and files as we do. */
  readonly units: boolean;
}

/** What the chosen service manager can do. Throws HostError when its bus does not answer. */
export async function probeServiceManager(probe: ManagerProbe): Promise<Usable<ManagerFacts>> {
  const { choice, environment } = probe;
  if (choice.kind === 'none') return { usable: false, reason: choice.reason };
  const bus =
    choice.kind === 'system'
      ? systemBusAddress(environment)
      : (userBusAddress(environment) ?? `unix:path=${join(choice.runtimeDirectory, 'bus')}`);
  // It would move, and stop with the machine, whatever process has that number where it is.
  if (probe.units && !(await seesOurProcesses(bus, probe.connections))) {
    return { usable: false, reason: 'the service manager runs in another PID namespace' };
  }
  const [machined, sameMounts] = await Promise.all([
    probe.register
      ? reachableMachined(choice, bus, probe)
      : ({ usable: false, reason: '--register=no was given' } as const),
    probe.units ? seesOurFiles(choice.kind, bus, probe.connections) : true,
  ]);
  return { usable: true, kind: choice.kind, bus, sameMounts, ownUnit: ownUnit(), machined };
}

/** Where nothing but machined is wanted of the bus, a bus that cannot be had is a machined that cannot be had. */
async function reachableMachined(
  choice: Extract<ManagerChoice, { kind: 'system' | 'user' }>,
  bus: string,
  { units, connections }: ManagerProbe,
): Promise<Usable<MachinedFacts>> {
  try {
    return await probeMachined(choice, bus, connections);
  } catch (error) {
    if (units || !(error instanceof HostError)) throw error;
    return { usable: false, reason: describeError(error) };
  }
}

/**
 * machined by varlink where it has that (257 and newer; only from 262 on does systemd listen for it), else by D-Bus,
 * which also starts it. What it can do is read from its own description.
 */
async function probeMachined(
  { kind, runtimeDirectory }: Extract<ManagerChoice, { kind: 'system' | 'user' }>,
  bus: string,
  connections: Connections,
): Promise<Usable<MachinedFacts>> {
  const socket = join(runtimeDirectory, 'systemd/machine/io.systemd.Machine');
  if (!existsSync(socket)) {
    if (kind === 'user')
      return { usable: false, reason: 'no machined runs for users (systemd 259 and newer have one)' };
    const connection = await busOrError(connections, bus);
    const { BusFailure } = await import('../dbus/errors.ts');
    try {
      await connection.call(
        {
          destination: 'org.freedesktop.DBus',
          path: '/org/freedesktop/DBus',
          interface: 'org.freedesktop.DBus',
          member: 'StartServiceByName',
          signature: 'su',
          body: ['org.freedesktop.machine1', 0],
        },
        { signal: connections.signal },
      );
    } catch (error) {
      if (!(error instanceof BusFailure)) throw error;
      return { usable: false, reason: `systemd-machined cannot be started (${error.message})` };
    }
  }
  const byBus = { usable: true, via: 'dbus', socket, allocatesUnits: false, controlAddress: false } as const;
  if (!existsSync(socket)) return byBus;
  const { VarlinkFailure } = await import('../varlink/errors.ts');
  try {
    const service = await connections.service(socket);
    const { parameters } = await service.call(
      'org.varlink.service.GetInterfaceDescription',
      { interface: 'io.systemd.Machine' },
      { signal: connections.signal },
    );
    const description = (parameters as { description?: unknown }).description;
    if (typeof description !== 'string') return byBus;
    return {
      usable: true,
      via: 'varlink',
      socket,
      allocatesUnits: /\ballocateUnit\b/.test(description),
      controlAddress: /\bcontrolAddress\b/.test(description),
    };
  } catch (error) {
    const lost = error instanceof VarlinkFailure || codeOf(error) !== undefined;
    if (!lost) throw error;
    // A socket that nobody serves; the system's machined may still answer on the bus.
    if (kind === 'system') return byBus;
    return { usable: false, reason: `machined does not answer (${(error as Error).message})` };
  }
}

/** Whether the paths that we know mean the same to the manager. One whose namespace nobody may look at is believed to. */
async function seesOurFiles(
  kind: 'system' | 'user',
  bus: string,
  connections: Connections,
): Promise<boolean> {
  try {
    const pid =
      kind === 'system' ? 1 : await pidOf(await busOrError(connections, bus), 'org.freedesktop.systemd1');
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt');
  } catch (error) {
    if (error instanceof HostError) throw error;
    return true;
  }
}

/** Whether the bus knows us by the PID that we know: a container may have the host's bus, but not its processes. */
async function seesOurProcesses(address: string, connections: Connections): Promise<boolean> {
  const bus = await busOrError(connections, address);
  try {
    return (await pidOf(bus, bus.uniqueName)) === process.pid;
  } catch (error) {
    throw busFailure(error);
  }
}

async function pidOf(bus: Awaited<ReturnType<Connections['bus']>>, name: string): Promise<number> {
  const [pid] = await bus.call({
    destination: 'org.freedesktop.DBus',
    path: '/org/freedesktop/DBus',
    interface: 'org.freedesktop.DBus',
    member: 'GetConnectionUnixProcessID',
    signature: 's',
    body: [name],
  });
  return Number(pid);
}

async function busOrError(
  connections: Connections,
  address: string,
): Promise<Awaited<ReturnType<Connections['bus']>>> {
  try {
    return await connections.bus(address);
  } catch (error) {
    throw busFailure(error);
  }
}

/** For a bus that cannot be had: what a user can do without one. */
export function busFailure(error: unknown): HostError {
  return new HostError('The service manager cannot be reached', {
    cause: error,
    hint: 'Without a manager, everything but units and registration works: --manager=none.',
  });
}

/** The unit that we run in ourselves: the last part of our control group's path (systemd.unit names), or null. */
function ownUnit(): string | null {
  const parts = controlGroup('self')?.split('/') ?? [];
  return parts.reverse().find((part) => /\.(service|scope)$/.test(part)) ?? null;
}
