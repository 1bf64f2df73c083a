import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../dbus/bus.ts';
import { AuxiliaryError, printable } from '../errors.ts';
import type { PlannedAuxiliary, PlannedManager, PlannedUnit } from '../plan/plan.ts';
import type { RunningAuxiliary } from './manager.ts';
import { startTransient } from './transient.ts';

/** How many of a daemon's last lines are worth showing. */
const lineCount = 3;

/** What is asked about a service whose state has changed (org.freedesktop.systemd1(5)). */
const endProperties = ['ExecMainCode', 'ExecMainStatus', 'Result'] as const;

/**
 * Starts a daemon as a socket and a service unit, both in one call: the manager listens when it returns. Stopping them
 * is the caller's business. Throws AuxiliaryError.
 */
export async function startAuxiliaryUnits(
  plan: PlannedAuxiliary & { readonly units: NonNullable<PlannedAuxiliary['units']> },
  kind: PlannedManager['kind'],
  bus: Bus,
  signal: AbortSignal,
): Promise<RunningAuxiliary> {
  const { socket, service } = plan.units;
  const begin = Date.now() / 1000;
  try {
    const { SystemdManager } = await import('../dbus/systemd.ts');
    const systemd = new SystemdManager(bus);
    await startTransient(systemd, socket, signal, [service]);
    let settle: (ended: string) => void = () => {};
    const ended = new Promise<string>((resolve) => {
      settle = resolve;
    });
    const look = async (): Promise<void> => {
      const values = await systemd.unitProperties(service.name, 'Service', endProperties);
      // Before its first connection the service is inactive as well; then no process of it has ended yet.
      if (Number(values['ExecMainCode'] ?? 0) > 0 || values['Result'] !== 'success') {
        settle(endInWords(values));
      }
    };
    const changes = (changed: Record<string, unknown>): void => {
      if (changed['ActiveState'] !== 'failed' && changed['ActiveState'] !== 'inactive') return;
      look().catch(() => settle('an unknown result'));
    };
    const watch = await systemd.watchUnit(service.name, changes, { signal });
    return {
      plan,
      unit: service.name,
      ended,
      lastWords: () => lastLines(service, kind, begin),
      [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose](),
    };
  } catch (error) {
    if (signal.aborted) throw error;
    throw new AuxiliaryError(`${plan.description} ${plan.name} cannot be started as ${socket.name}`, {
      cause: error,
      required: plan.required,
    });
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
