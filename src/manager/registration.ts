import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../dbus/within.ts';
import { ManagerError } from '../errors.ts';
import type { Connections } from '../host/connections.ts';
import type { PlannedRegistration } from '../plan/plan.ts';

/** Milliseconds for which a machine of a supervisor that was killed may still be known to machined. */
const remnantTimeout = 5_000;

/** Milliseconds for a question that nobody should have to wait for. */
const questionTimeout = 2_000;

/**
 * The machine's entry with systemd-machined: by varlink where it has that, else by D-Bus (org.freedesktop.machine1(5)).
 */
export class Registration {
  readonly #plan: PlannedRegistration;
  readonly #connections: Connections;
  readonly #bus: string;
  #registered = false;
  /** A call that was under way when the start was given up: whether machined carries it out. */
  #late: Promise<boolean> | null = null;

  constructor(plan: PlannedRegistration, bus: string, connections: Connections) {
    this.#plan = plan;
    this.#bus = bus;
    this.#connections = connections;
  }

  /**
   * Registers the machine with `leader`; with `allocateUnit` machined makes a scope and moves the leader into it. Throws
   * ManagerError; its hint says so when the name is another machine's.
   */
  async register(leader: number, allocateUnit: boolean, signal: AbortSignal): Promise<void> {
    const end = performance.now() + remnantTimeout;
    for (;;) {
      try {
        await this.#answer(
          this.#plan.via === 'varlink' ? this.#byVarlink(leader, allocateUnit) : this.#byBus(leader),
          signal,
        );
        this.#registered = true;
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        if (!isAnswer(error, machineExists)) {
          throw new ManagerError(`systemd-machined does not register the machine ${this.#plan.fields.name}`, {
            cause: error,
          });
        }
        // Ours is the lock of the name, so another machine of ours can only be that of a supervisor which was killed.
        const service = await this.#serviceOfTaken();
        if (service !== this.#plan.fields.service || performance.now() > end) {
          throw new NameTakenError(this.#plan.fields.name, service, error);
        }
        // machined keeps one for as long as its unit is active, and ours is, after a restart with --keep-unit.
        await this.#forget();
        await sleep(50, undefined, { signal });
      }
    }
  }

  /** Waits for machined no longer than for the signal; what it still does then is found out when the entry is taken back. */
  async #answer(call: Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await within(call, { signal });
    } catch (error) {
      if (signal.aborted) {
        this.#late = call.then(
          () => true,
          () => false,
        );
      }
      throw error;
    }
  }

  /**
   * Takes the entry back. True: machined made it when nobody waited for it any more, perhaps with a scope that knows nothing
   * of what has ended meanwhile. Never rejects: machined drops machines whose leader is gone by itself.
   */
  async unregister(): Promise<boolean> {
    const late =
      this.#late !== null &&
      (await Promise.race([this.#late, sleep(questionTimeout, false, { ref: false })]));
    this.#late = null;
    if (!this.#registered && !late) return false;
    this.#registered = false;
    await this.#forget();
    return late;
  }

  async #forget(): Promise<void> {
    const { name } = this.#plan.fields;
    try {
      if (this.#plan.via === 'varlink') {
        const service = await this.#connections.service(this.#plan.socket);
        await service.call('io.systemd.Machine.Unregister', { name }, { timeout: questionTimeout });
      } else {
        const { MachineManager } = await import('../dbus/machined.ts');
        await new MachineManager(await this.#connections.bus(this.#bus)).unregister(name, {
          timeout: questionTimeout,
        });
      }
    } catch {
      // Gone already, or machined is.
    }
  }

  /**
   * Whether machined is ending the machine (machinectl terminate): it stops the scope, which looks like any other stop,
   * but the machine's state says it. Never rejects.
   */
  async terminating(): Promise<boolean> {
    if (!this.#registered) return false;
    try {
      const { MachineManager } = await import('../dbus/machined.ts');
      const machined = new MachineManager(await this.#connections.bus(this.#bus));
      return (await machined.state(this.#plan.fields.name, { timeout: questionTimeout })) === 'closing';
    } catch {
      return false;
    }
  }

  async #byVarlink(leader: number, allocateUnit: boolean): Promise<void> {
    const service = await this.#connections.service(this.#plan.socket);
    const allocate = allocateUnit ? { allocateUnit } : {};
    await service.call('io.systemd.Machine.Register', { ...this.#plan.fields, leader, ...allocate });
  }

  async #byBus(leader: number): Promise<void> {
    const { MachineManager } = await import('../dbus/machined.ts');
    const { name, id, service } = this.#plan.fields;
    await new MachineManager(await this.#connections.bus(this.#bus)).register({
      name,
      id: Buffer.from(id, 'hex'),
      service,
      class: 'vm',
      leader,
      rootDirectory: '',
      interfaces: [],
    });
  }

  /** Who registered the machine that has our name: us when it has gone meanwhile, null when nobody can tell. */
  async #serviceOfTaken(): Promise<string | null> {
    const { name, service: ours } = this.#plan.fields;
    try {
      if (this.#plan.via === 'varlink') {
        const machined = await this.#connections.service(this.#plan.socket);
        const { parameters } = await machined.call('io.systemd.Machine.List', { name });
        const { service } = parameters;
        return typeof service === 'string' ? service : null;
      }
      const { MachineManager } = await import('../dbus/machined.ts');
      return await new MachineManager(await this.#connections.bus(this.#bus)).service(name);
    } catch (error) {
      return isAnswer(error, unknownMachine) ? ours : null;
    }
  }
}

/** The name belongs to a machine that is not ours. */
export class NameTakenError extends ManagerError {
  constructor(name: string, service: string | null, cause: unknown) {
    super(`The name ${name} is taken by another machine${service === null ? '' : ` (of ${service})`}`, {
      cause,
      hint: 'Stop that machine first (machinectl list), or give this one another name with --machine=NAME.',
    });
  }
}

const machineExists = ['io.systemd.Machine.MachineExists', 'org.freedesktop.machine1.MachineExists'];
const unknownMachine = ['io.systemd.Machine.NoSuchMachine', 'org.freedesktop.DBus.Error.UnknownObject'];

/** Whether a peer's error has one of these names. */
function isAnswer(error: unknown, names: readonly string[]): boolean {
  return error instanceof Error && 'error' in error && names.includes(String(error.error));
}
