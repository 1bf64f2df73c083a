import type { Bus } from './bus.ts';
import { BusClosedError, BusError, BusTimeoutError, JobError } from './errors.ts';
import { escapeLabel } from './object-path.ts';
import type { UnitProperty } from './property.ts';
import { asString, isDictionary } from './reply.ts';
import { type Patience, within } from './within.ts';

const destination = 'org.freedesktop.systemd1';
const path = '/org/freedesktop/systemd1';
const manager = 'org.freedesktop.systemd1.Manager';
const properties = 'org.freedesktop.DBus.Properties';

/** Milliseconds for a job: systemd's own DefaultTimeoutStartSec= and DefaultTimeoutStopSec=. */
const jobTimeout = 90_000;

/** Removals of jobs that are kept because they may come before the answer that names the job. */
const removalLimit = 1000;

export type JobMode = 'fail' | 'replace';

/** A unit that is made together with another one. */
export interface AuxiliaryUnit {
  readonly name: string;
  readonly properties: readonly UnitProperty[];
}

/** A service manager, of the system or of a user (org.freedesktop.systemd1(5)). The bus stays the caller's. */
export class SystemdManager {
  readonly #bus: Bus;
  /** Who waits for the end of a job, by the job's path. */
  readonly #waiting = new Map<string, (result: string) => void>();
  /** What ended while calls that start jobs were on their way. */
  readonly #removed = new Map<string, string>();
  #starting = 0;
  #listening: Promise<unknown> | undefined;
  #subscribed = false;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Settles when the connection is gone. Never rejects. */
  get closed(): Promise<Error | null> {
    return this.#bus.closed;
  }

  /** The manager's version as it says it itself: `257.8-1~deb13u2`. */
  async version(patience: Patience = {}): Promise<string> {
    return asString(await this.#property(path, manager, 'Version', patience), 'The version of systemd');
  }

  /**
   * Makes a unit, and `auxiliary` ones with it, starts it and returns when that job is done. `timeout`, milliseconds, is
   * for all of it, 90 s unless told. Throws JobError when the job ends otherwise, and what Bus.call throws.
   */
  async startTransientUnit(
    name: string,
    unitProperties: readonly UnitProperty[],
    {
      mode = 'fail',
      auxiliary = [],
      ...patience
    }: Patience & { mode?: JobMode; auxiliary?: readonly AuxiliaryUnit[] } = {},
  ): Promise<void> {
    const others = auxiliary.map((unit) => [unit.name, assignments(unit.properties)]);
    await this.#job('start', name, patience, (rest) =>
      this.#call(
        'StartTransientUnit',
        'ssa(sv)a(sa(sv))',
        [name, mode, assignments(unitProperties), others],
        rest,
      ),
    );
  }

  /** Starts a unit and returns when that is done. Throws as startTransientUnit does. */
  async startUnit(name: string, mode: JobMode = 'fail', patience: Patience = {}): Promise<void> {
    await this.#job('start', name, patience, (rest) => this.#call('StartUnit', 'ss', [name, mode], rest));
  }

  /** Stops a unit and returns when that is done. Throws as startTransientUnit does; BusError NoSuchUnit. */
  async stopUnit(name: string, mode: JobMode = 'fail', patience: Patience = {}): Promise<void> {
    await this.#job('stop', name, patience, (rest) => this.#call('StopUnit', 'ss', [name, mode], rest));
  }

  /** The scope's processes stay, the manager no longer looks after them. */
  async abandonScope(name: string): Promise<void> {
    await this.#call('AbandonScope', 's', [name]);
  }

  /** Sends the signal with this number to processes of a unit. */
  async killUnit(name: string, who: 'main' | 'control' | 'all', signal: number): Promise<void> {
    await this.#call('KillUnit', 'ssi', [name, who, signal]);
  }

  /** Keeps a unit loaded until unrefUnit, or until this connection ends. */
  async refUnit(name: string): Promise<void> {
    await this.#call('RefUnit', 's', [name]);
  }

  async unrefUnit(name: string): Promise<void> {
    await this.#call('UnrefUnit', 's', [name]);
  }

  async resetFailedUnit(name: string): Promise<void> {
    await this.#call('ResetFailedUnit', 's', [name]);
  }

  /** Moves processes into the control group of a unit. */
  async attachProcesses(unit: string, pids: readonly number[]): Promise<void> {
    await this.#call('AttachProcessesToUnit', 'ssau', [unit, '', pids]);
  }

  /** Properties of a unit, which is loaded for that: one that does not exist has the LoadState `not-found`. */
  async unitProperties(
    name: string,
    unitInterface: 'Unit' | 'Service' | 'Scope' | 'Socket',
    names: readonly string[],
    patience: Patience = {},
  ): Promise<Record<string, unknown>> {
    const get = (property: string) =>
      this.#property(unitPath(name), `${destination}.${unitInterface}`, property, patience);
    return Object.fromEntries(await Promise.all(names.map(async (one) => [one, await get(one)])));
  }

  /**
   * Tells what changed in a unit, of whatever interface, until disposal. A transient unit that is watched before it starts
   * changes to `inactive` first: that is not its end.
   */
  async watchUnit(
    name: string,
    handler: (changed: Record<string, unknown>) => void,
    patience: Patience = {},
  ): Promise<AsyncDisposable> {
    const match = {
      sender: destination,
      path: unitPath(name),
      interface: properties,
      member: 'PropertiesChanged',
    };
    await this.#subscribe(patience);
    return await this.#bus.onSignal(
      match,
      ({ body: [, changed] }) => {
        // What is no dictionary changes nothing; there is nobody here to throw to.
        if (isDictionary(changed)) handler(changed);
      },
      patience,
    );
  }

  /** Without it the manager sends no PropertiesChanged to anybody. */
  async #subscribe(patience: Patience): Promise<void> {
    if (this.#subscribed) return;
    try {
      await this.#call('Subscribe', '', [], patience);
    } catch (error) {
      if (!(error instanceof BusError && error.error === `${destination}.AlreadySubscribed`)) throw error;
    }
    this.#subscribed = true;
  }

  async #job(
    action: string,
    unit: string,
    { timeout = jobTimeout, signal }: Patience,
    start: (patience: Patience) => Promise<readonly unknown[]>,
  ): Promise<void> {
    signal?.throwIfAborted();
    const over = new AbortController();
    const late = () => {
      const seconds = (timeout / 1000).toFixed(1);
      return new BusTimeoutError(
        `The job to ${action} ${unit} was not done within ${seconds} s (service manager on ${this.#bus.place})`,
      );
    };
    const finish = async (patience: Patience) => {
      let job: string | undefined;
      this.#starting += 1;
      try {
        await within(this.#listen(), patience, late);
        const [answer] = await start(patience);
        job = asString(answer, `The job to ${action} ${unit} on ${this.#bus.place}`);
        return await within(this.#result(job), patience, late);
      } finally {
        if (job !== undefined) this.#waiting.delete(job);
        this.#starting -= 1;
        if (this.#starting === 0) this.#removed.clear();
      }
    };
    try {
      // One limit for all of it, so that its end is told as what it is.
      const finished = finish({ timeout: Number.POSITIVE_INFINITY, signal: over.signal });
      const result = await within(finished, { timeout, signal }, late);
      if (result !== 'done' && result !== 'skipped') throw new JobError(action, unit, result);
    } finally {
      over.abort();
    }
  }

  /** Before the first job is asked for, so that no end of a job is missed. */
  #listen(): Promise<unknown> {
    const match = { sender: destination, path, interface: manager, member: 'JobRemoved' };
    this.#listening ??= this.#bus
      .onSignal(match, ({ body: [, job, , result] }) => this.#jobRemoved(job, result))
      .catch((error: unknown) => {
        this.#listening = undefined;
        throw error;
      });
    return this.#listening;
  }

  #jobRemoved(job: unknown, result: unknown): void {
    if (typeof job !== 'string' || typeof result !== 'string' || this.#starting === 0) return;
    const waiting = this.#waiting.get(job);
    if (waiting !== undefined) waiting(result);
    // Every job of the manager comes by here.
    else this.#removed.set(job, result);
    const [oldest] = this.#removed.keys();
    if (oldest !== undefined && this.#removed.size > removalLimit) this.#removed.delete(oldest);
  }

  #result(job: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const removed = this.#removed.get(job);
      if (removed !== undefined) resolve(removed);
      this.#waiting.set(job, resolve);
      void this.#bus.closed.then((error) =>
        reject(error ?? new BusClosedError(`The connection to ${this.#bus.place} was closed here`)),
      );
    });
  }

  #call(
    member: string,
    signature: string,
    body: readonly unknown[],
    patience: Patience = {},
  ): Promise<readonly unknown[]> {
    return this.#bus.call({ destination, path, interface: manager, member, signature, body }, patience);
  }

  async #property(object: string, owner: string, name: string, patience: Patience): Promise<unknown> {
    const call = { destination, path: object, interface: properties, member: 'Get', signature: 'ss' };
    const [value] = await this.#bus.call({ ...call, body: [owner, name] }, patience);
    return value;
  }
}

function unitPath(name: string): string {
  return `${path}/unit/${escapeLabel(name)}`;
}

function assignments(unitProperties: readonly UnitProperty[]): unknown[] {
  return unitProperties.map(({ name, signature, value }) => [name, { signature, value }]);
}
