import { setTimeout as sleep } from 'node:timers/promises';
import { type Leader, startLeader } from '../child/leader.ts';
import type { Bus } from '../dbus/bus.ts';
import type { SystemdManager } from '../dbus/systemd.ts';
import { describeError, ManagerError } from '../errors.ts';
import type { Connections } from '../host/connections.ts';
import { controlGroup } from '../host/control-group.ts';
import type { Environment } from '../host/identity.ts';
import { busFailure } from '../host/service-manager.ts';
import type { Notice, PlannedAuxiliary, PlannedManager, PlannedUnit } from '../plan/plan.ts';
import { description, machineUnitName } from '../plan/units.ts';
import { startAuxiliaryUnits } from './auxiliary-unit.ts';
import type { LeaderCandidate, MachineRequest, Manager, RunningAuxiliary } from './manager.ts';
import { ChildManager } from './none.ts';
import { NameTakenError, Registration } from './registration.ts';
import { groupGone, inUnit, joinGroup } from './scope.ts';
import { isTaken, startTransient, stopTimeout } from './transient.ts';

/** Milliseconds for the leader to be ready; it is a small program that does nothing else at first. */
const leaderTimeout = 5_000;

/** Milliseconds until a process that was to be moved must be in its scope. */
const moveTimeout = 5_000;

/** SIGRTMIN as glibc numbers it (signal(7)); systemd's own requests count from there (systemd(1), SIGNALS). */
const SIGRTMIN = 34;

/** What machinectl's signals to a machine's leader mean: `reboot` is SIGINT, `poweroff` SIGRTMIN+4. */
const requests: ReadonlyMap<number, MachineRequest> = new Map([
  [2, 'reboot'],
  [15, 'power-off'],
  [SIGRTMIN + 3, 'power-off'],
  [SIGRTMIN + 4, 'power-off'],
  [SIGRTMIN + 5, 'reboot'],
  [SIGRTMIN + 13, 'power-off'],
  [SIGRTMIN + 14, 'power-off'],
  [SIGRTMIN + 15, 'reboot'],
]);

export interface UnitManagerOptions {
  /** The machine's name. */
  readonly machine: string;
  readonly plan: PlannedManager;
  readonly connections: Connections;
  readonly environment: Environment;
  notice(notice: Notice): void;
}

/** systemd, as the system's or a user's manager: the machine in a scope of its own, daemons in units beside it. */
export class UnitManager implements Manager {
  readonly #options: UnitManagerOptions;
  #registration: Registration | null;
  readonly #children: ChildManager;
  /** Units that exist because of us, in the order in which they were made. */
  readonly #units: string[] = [];
  #child: LeaderCandidate | null = null;
  #leader: Leader | null = null;
  #group: string | null = null;
  #systemdOnBus: { readonly bus: Bus; readonly systemd: SystemdManager } | null = null;
  #onRequest: (request: MachineRequest) => void = () => {};

  constructor(options: UnitManagerOptions) {
    const { plan, connections, environment } = options;
    this.#options = options;
    this.#registration =
      plan.registration === null ? null : new Registration(plan.registration, plan.bus, connections);
    this.#children = new ChildManager(environment);
  }

  onRequest(handler: (request: MachineRequest) => void): void {
    this.#onRequest = handler;
  }

  async clear(signal: AbortSignal): Promise<void> {
    const end = performance.now() + stopTimeout;
    const systemd = await this.#systemd();
    // With --keep-unit as well: the one before may have run from a shell, and its guard takes the directory with it.
    const suffixes = this.#options.plan.scope === null ? ['-guard.service'] : ['.scope', '-guard.service'];
    for (const suffix of suffixes) {
      const unit = machineUnitName(this.#options.machine, suffix);
      for (;;) {
        const { ActiveState: state, Description: words } = await refused(
          `The state of ${unit} is not known`,
          systemd.unitProperties(unit, 'Unit', ['ActiveState', 'Description'], { signal }),
        );
        if (state === 'inactive' || state === 'failed') break;
        // Somebody else's does not end by itself; that it is in the way is told when ours is started.
        if (!String(words).startsWith(description(this.#options.machine))) break;
        if (performance.now() > end) {
          throw new ManagerError(`The unit ${unit} of an earlier machine of this name does not end`, {
            hint: `Stop it (systemctl stop '${unit}'), or give this machine another name with --machine=NAME.`,
          });
        }
        await sleep(50, undefined, { signal });
      }
    }
  }

  async enter(child: LeaderCandidate, signal: AbortSignal): Promise<void> {
    const { plan } = this.#options;
    this.#child = child;
    if (plan.registration?.leader === 'relay') await this.#startLeader(plan.registration.required, signal);
    if (plan.scope === null) {
      await this.#register(false, signal);
      return;
    }
    const allocated = plan.scope.via === 'varlink' && (await this.#allocate(plan.scope, signal));
    if (!allocated) {
      await this.#makeScope(plan.scope, signal);
      await this.#register(false, signal);
    }
    this.#group = controlGroup(child.pid);
    if (plan.guard !== null) await this.#startGuard(plan.guard, signal);
  }

  async startAuxiliary(plan: PlannedAuxiliary, signal: AbortSignal): Promise<RunningAuxiliary> {
    const { units } = plan;
    if (units === null) return this.#children.startAuxiliary(plan, signal);
    const systemd = await this.#systemd();
    if (units.socket !== null) this.#units.push(units.socket.name);
    this.#units.push(units.service.name);
    const again = async (): Promise<SystemdManager> => this.#systemd();
    return startAuxiliaryUnits({ ...plan, units }, this.#options.plan.kind, { systemd, again }, signal);
  }

  async terminating(): Promise<boolean> {
    return (await this.#registration?.terminating()) ?? false;
  }

  /**
   * Everything of ours is stopped and gone afterwards, so that the next machine may have the name. The control socket
   * must be closed by then: a guard that is being stopped waits for that.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const late = (await this.#registration?.unregister()) ?? false;
    const { scope } = this.#options.plan;
    // A start that was given up in the middle: its scope would wait for ever for the end of processes that it never had.
    if (late && scope !== null) this.#units.push(scope.name);
    this.#child?.kill('SIGKILL');
    await this.#child?.exited;
    await this.#leader?.[Symbol.asyncDispose]();
    const stopped = this.#units.length === 0 || (await this.#stopUnits());
    // A manager that does not stop its units in time does not remove their control groups either.
    if (this.#group !== null && stopped) await groupGone(this.#group, stopTimeout);
  }

  /** Without a leader the machine is not registered: as one, QEMU would die of what machinectl sends. */
  async #startLeader(required: boolean, signal: AbortSignal): Promise<void> {
    try {
      const leader = startLeader({ signal });
      this.#leader = leader;
      const late = sleep(leaderTimeout, 'late', { ref: false, signal });
      if ((await Promise.race([leader.ready, late])) === 'late') {
        throw new ManagerError('The leader process of the machine does not answer');
      }
      leader.onSignal((number) => {
        const request = requests.get(number);
        if (request !== undefined) this.#onRequest(request);
      });
    } catch (error) {
      if (required || signal.aborted) throw error;
      await this.#leader?.[Symbol.asyncDispose]();
      this.#leader = null;
      this.#registration = null;
      this.#options.notice({
        level: 'warning',
        text: `The machine is not known to machinectl: ${describeError(error)}`,
      });
    }
  }

  /** Scope and registration in one, by machined. False: it refused, and the machine may do without being registered. */
  async #allocate(scope: PlannedUnit, signal: AbortSignal): Promise<boolean> {
    const child = this.#required();
    if (!(await this.#register(true, signal))) return false;
    const leader = this.#leader?.pid ?? child.pid;
    // Until then it is stopped with the rest: a scope that is started for a process that has ended stays.
    this.#units.push(scope.name);
    if (!(await inUnit(leader, scope.name, moveTimeout, signal))) {
      throw new ManagerError(`systemd-machined did not put the machine into ${scope.name}`, {
        hint: 'Look at `journalctl -u systemd-machined`, or use --scope=dbus.',
      });
    }
    this.#units.pop();
    if (leader !== child.pid) joinGroup(child.pid, leader);
    return true;
  }

  async #makeScope(scope: PlannedUnit, signal: AbortSignal): Promise<void> {
    const child = this.#required();
    const systemd = await this.#systemd();
    const pids = [child.pid, ...(this.#leader === null ? [] : [this.#leader.pid])];
    const properties = [{ name: 'PIDs', signature: 'au', value: pids }, ...scope.properties];
    await this.#startUnit(systemd, { name: scope.name, properties }, signal);
    if (await inUnit(child.pid, scope.name, moveTimeout, signal)) return;
    throw new ManagerError(`The service manager did not put the machine into ${scope.name}`);
  }

  async #startGuard(guard: PlannedUnit, signal: AbortSignal): Promise<void> {
    await this.#startUnit(await this.#systemd(), guard, signal);
  }

  /** Starts a transient unit of ours. Throws ManagerError. */
  async #startUnit(systemd: SystemdManager, unit: PlannedUnit, signal: AbortSignal): Promise<void> {
    // Ours from the call on: an answer that is not waited for any more does not unmake it.
    this.#units.push(unit.name);
    try {
      await startTransient(systemd, unit, signal);
    } catch (error) {
      const taken = isTaken(error);
      if (taken) this.#units.pop();
      if (signal.aborted) throw error;
      throw new ManagerError(`The unit ${unit.name} cannot be started`, {
        cause: error,
        ...(taken
          ? { hint: `Stop it first (systemctl stop '${unit.name}'), or give the machine another name.` }
          : {}),
      });
    }
  }

  /** False when machined refused and need not know the machine. */
  async #register(allocateUnit: boolean, signal: AbortSignal): Promise<boolean> {
    const { registration } = this.#options.plan;
    if (registration === null || this.#registration === null) return false;
    try {
      const leader = this.#leader?.pid ?? this.#required().pid;
      await this.#registration.register(leader, allocateUnit, signal);
      return true;
    } catch (error) {
      if (registration.required || signal.aborted || error instanceof NameTakenError) throw error;
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
      this.#options.notice({
        level: 'notice',
        text: `The machine is not known to machinectl, systemd-machined refused it${cause.replace(/\.$/, '')}.`,
      });
      return false;
    }
  }

  /** False when the manager did not do it in time, or cannot be asked: what is bound to the scope goes with it then. */
  async #stopUnits(): Promise<boolean> {
    try {
      const systemd = await this.#systemd();
      const { BusError } = await import('../dbus/errors.ts');
      // All at once: the manager puts them into the order that the units themselves ask for.
      const stops = this.#units
        .splice(0)
        .map((name) => systemd.stopUnit(name, 'replace', { timeout: stopTimeout }));
      const results = await Promise.allSettled(stops);
      // An error that the manager has answered with is mostly NoSuchUnit: gone already.
      return results.every((one) => one.status === 'fulfilled' || one.reason instanceof BusError);
    } catch {
      return false;
    }
  }

  #required(): LeaderCandidate {
    if (this.#child === null) throw new Error('No process has entered yet');
    return this.#child;
  }

  async #systemd(): Promise<SystemdManager> {
    const { SystemdManager } = await import('../dbus/systemd.ts');
    const { connections, plan } = this.#options;
    try {
      const bus = await connections.bus(plan.bus);
      // One for each connection: it listens for the ends of jobs.
      if (this.#systemdOnBus?.bus !== bus) this.#systemdOnBus = { bus, systemd: new SystemdManager(bus) };
      return this.#systemdOnBus.systemd;
    } catch (error) {
      throw busFailure(error);
    }
  }
}

async function refused<T>(words: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw new ManagerError(words, { cause: error });
  }
}
