import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SystemdManager } from '../dbus/systemd.ts';
import { AuxiliaryError, printable } from '../errors.ts';
import type { PlannedAuxiliary, PlannedManager, PlannedUnit } from '../plan/plan.ts';
import type { RunningAuxiliary } from './manager.ts';
import { ownSocket } from './own-socket.ts';
import { startTransient } from './transient.ts';

/** Milliseconds between two attempts to reach a bus that is gone. */
const busInterval = 1_000;

/** How many of a daemon's last lines are worth showing. */
const lineCount = 3;

/** What is asked about a service whose state has changed (org.freedesktop.systemd1(5)). */
const endProperties = ['ExecMainCode', 'ExecMainStatus', 'Result'] as const;

/**
 * Starts a daemon as a socket and a service unit, both in one call, or as a service that makes its socket: somebody listens
 * when it returns. Stopping them is the caller's business. Throws AuxiliaryError.
 */
export async function startAuxiliaryUnits(
  plan: PlannedAuxiliary & { readonly units: NonNullable<PlannedAuxiliary['units']> },
  kind: PlannedManager['kind'],
  { systemd, again }: { readonly systemd: SystemdManager; again(): Promise<SystemdManager> },
  signal: AbortSignal,
): Promise<RunningAuxiliary> {
  const { socket, service } = plan.units;
  const begin = Date.now() / 1000;
  const watch = new ServiceWatch(service.name, again);
  const lastWords = (): Promise<string> => lastLines(service, kind, begin);
  try {
    if (socket === null) await startTransient(systemd, service, signal);
    else await startTransient(systemd, socket, signal, [service]);
    await watch.start(systemd, signal);
    if (socket === null) {
      // It runs since before it was watched.
      await watch.look(systemd);
      await ownSocket(plan.socket.path, watch.ended, lastWords, signal);
    }
    return {
      plan,
      unit: service.name,
      ended: watch.ended,
      lastWords,
      [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose](),
    };
  } catch (error) {
    await watch[Symbol.asyncDispose]();
    if (signal.aborted) throw error;
    const unit = (socket ?? service).name;
    throw new AuxiliaryError(`${plan.description} ${plan.name} cannot be started as ${unit}`, {
      cause: error,
      required: plan.required,
      daemon: plan.name,
    });
  }
}

/** Waits for the end of a service, over a bus that may be restarted meanwhile. */
class ServiceWatch implements AsyncDisposable {
  readonly ended: Promise<string>;
  readonly #name: string;
  readonly #again: () => Promise<SystemdManager>;
  readonly #over = new AbortController();
  #settle: (ended: string) => void = () => {};

  /** `again` gives the manager on a new connection. */
  constructor(name: string, again: () => Promise<SystemdManager>) {
    this.#name = name;
    this.#again = again;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async start(systemd: SystemdManager, signal?: AbortSignal): Promise<void> {
    const changes = (changed: Record<string, unknown>): void => {
      // The first end counts: where a connection still waits at its socket, the manager starts the service once more,
      // and whoever looks then finds nothing of it.
      if (Number(changed['ExecMainCode'] ?? 0) > 0) this.#settle(endInWords(changed));
      if (changed['ActiveState'] !== 'failed' && changed['ActiveState'] !== 'inactive') return;
      // A bus that goes away meanwhile is another matter: the next look is over a new connection.
      this.look(systemd).catch(() => {});
    };
    await systemd.watchUnit(this.#name, changes, { signal });
    void systemd.closed.then(() => this.#resume());
  }

  /** Settles `ended` for a service that has ended already. */
  async look(systemd: SystemdManager): Promise<void> {
    const values = await systemd.unitProperties(this.#name, 'Service', endProperties);
    // Before its first connection the service is inactive as well; then no process of it has ended yet.
    if (Number(values['ExecMainCode'] ?? 0) > 0 || values['Result'] !== 'success') {
      this.#settle(endInWords(values));
    }
  }

  /** The bus is gone: as soon as there is one again the service is looked at, and watched. */
  async #resume(): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        const systemd = await this.#again();
        await this.start(systemd);
        // Nobody has kept a unit loaded that ended without us; QEMU is connected, so it was active.
        const { ActiveState: state } = await systemd.unitProperties(this.#name, 'Unit', ['ActiveState']);
        if (state === 'failed' || state === 'inactive') this.#settle('an unknown result');
        else await systemd.refUnit(this.#name);
        return;
      } catch {
        await sleep(busInterval, undefined, { ref: false, signal: this.#over.signal }).catch(() => {});
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
  }
}

/** ExecMainCode has the values of waitid(2)'s si_code, ExecMainStatus an exit status or a signal's number. */
export function endInWords(values: { readonly [name: string]: unknown }): string {
  const [code, status] = [Number(values['ExecMainCode'] ?? 0), Number(values['ExecMainStatus'] ?? 0)];
  if (code === 1) return `exit status ${status}`;
  if (code === 2 || code === 3) {
    const name = Object.entries(constants.signals).find(([, number]) => number === status)?.[0];
    return `signal ${name ?? status}`;
  }
  return `result ${String(values['Result'])}`;
}

/**
 * What the service itself has written to the journal last, in one line; empty when there is nothing or no journal. Only
 * from `begin` on, seconds since 1970: an earlier machine of this name had a unit of the same name.
 */
async function lastLines(
  { name }: PlannedUnit,
  kind: PlannedManager['kind'],
  begin: number,
): Promise<string> {
  const match =
    kind === 'system'
      ? [`_SYSTEMD_UNIT=${name}`]
      : [`_SYSTEMD_USER_UNIT=${name}`, `_UID=${process.getuid?.() ?? 0}`];
  // The journal may get the last lines a moment after the manager has seen the end.
  for (let attempt = 0; attempt < 2; attempt++) {
    if (attempt > 0) await sleep(200);
    const text = await journalctl([
      '--boot',
      `--since=@${begin.toFixed(6)}`,
      `--lines=${lineCount}`,
      '--output=cat',
      '--quiet',
      '--no-pager',
      ...match,
    ]);
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length > 0) return printable(lines.join('; '));
  }
  return '';
}

async function journalctl(words: readonly string[]): Promise<string> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) => {
    execFile('journalctl', words, { timeout: 5_000, maxBuffer: 1024 ** 2 }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}
