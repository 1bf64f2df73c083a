import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManagerError } from '../errors.ts';
import { controlGroup } from '../host/control-group.ts';

/** Milliseconds between two looks; the move takes 8 to 27 ms after machined's answer. */
const interval = 2;

/**
 * Waits until a process is in the control group of `unit`, as seen in /proc: what answers before has only been asked to
 * move it. False after `timeout` milliseconds. Throws ManagerError when the process is gone.
 */
export async function inUnit(
  pid: number,
  unit: string,
  timeout: number,
  signal: AbortSignal,
): Promise<boolean> {
  const end = performance.now() + timeout;
  for (;;) {
    const group = controlGroup(pid);
    if (group === null) throw new ManagerError('The process that was to become QEMU ended before it could');
    if (group.split('/').includes(unit)) return true;
    if (performance.now() > end) return false;
    await sleep(interval, undefined, { signal });
  }
}

/**
 * Moves a process into the control group that another one is in. For the one case that no interface covers: machined
 * moves nobody but the leader, and the manager takes further processes only into units with Delegate=. Throws ManagerError.
 */
export function joinGroup(pid: number, other: number): void {
  const group = controlGroup(other);
  try {
    writeFileSync(join('/sys/fs/cgroup', group ?? '', 'cgroup.procs'), String(pid));
  } catch (error) {
    throw new ManagerError(`The machine could not be moved into the control group ${group}`, {
      cause: error,
    });
  }
}

/** Waits until a control group is gone, which systemd removes when its unit has stopped. False after `timeout` ms. */
export async function groupGone(group: string, timeout: number): Promise<boolean> {
  const path = join('/sys/fs/cgroup', group);
  const end = performance.now() + timeout;
  while (statSync(path, { throwIfNoEntry: false }) !== undefined) {
    if (performance.now() > end) return false;
    await sleep(interval * 5);
  }
  return true;
}
