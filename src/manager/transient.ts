import { setTimeout as sleep } from 'node:timers/promises';
import type { SystemdManager } from '../dbus/systemd.ts';
import type { PlannedUnit } from '../plan/plan.ts';

/** Milliseconds for a unit of ours to be started: none of them has anything to do by then but to exist. */
const jobTimeout = 30_000;

/** Milliseconds for a unit of ours to stop, or for the units of a killed supervisor to be gone. */
export const stopTimeout = 10_000;

/**
 * Starts a transient unit, with `auxiliary` ones; one of that name that a killed supervisor has left is waited for, which it
 * does not take long to go. Throws what startTransientUnit throws, the signal's reason.
 */
export async function startTransient(
  systemd: SystemdManager,
  unit: PlannedUnit,
  signal: AbortSignal,
  auxiliary: readonly PlannedUnit[] = [],
): Promise<void> {
  const end = performance.now() + stopTimeout;
  for (;;) {
    try {
      return await systemd.startTransientUnit(unit.name, unit.properties, {
        auxiliary,
        signal,
        timeout: jobTimeout,
      });
    } catch (error) {
      if (!isTaken(error) || signal.aborted) throw error;
      if (!(await isRemnant(systemd, unit)) || performance.now() > end) throw error;
    }
    await sleep(50, undefined, { signal });
  }
}

/** Whether a unit was not started because there is one of its name. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && 'error' in error && error.error === 'org.freedesktop.systemd1.UnitExists';
}

/** Whether a unit that stands in the way is one of ours that is going: the name's lock is held by us. */
async function isRemnant(systemd: SystemdManager, unit: PlannedUnit): Promise<boolean> {
  const description = unit.properties.find(({ name }) => name === 'Description')?.value;
  try {
    const values = await systemd.unitProperties(unit.name, 'Unit', ['Description', 'ActiveState']);
    return values['ActiveState'] !== 'active' || values['Description'] === description;
  } catch {
    return true;
  }
}
