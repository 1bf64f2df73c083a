import { printable } from '../errors.ts';
import type { Notice, PlannedShare } from '../plan/plan.ts';

/**
 * When it can be told whether the guest's kernel has a driver for what is shared with it. `ready`: the guest says that it is
 * up. `settled`: a kernel that was started directly has long looked for its root file system. `overdue`: nobody waits for
 * the guest's word any longer. `panicked`: the guest's kernel says so. `leaving`: the guest is about to be asked to end,
 * which a system in emergency mode is where it could not mount something.
 */
export type Moment = 'ready' | 'settled' | 'overdue' | 'panicked' | 'leaving';

/** Whether a driver works with a device; null where QEMU does not say. */
export type Driven = boolean | null;

/** Which of the shares the moment says something about: what a kernel misses early can only be its root. Pure. */
export function inQuestion(moment: Moment, shares: readonly PlannedShare[]): readonly PlannedShare[] {
  return moment === 'settled' || moment === 'panicked' ? shares.filter(isRoot) : shares;
}

/**
 * Whether the moment leaves room for a driver that comes later, or for devices that were just reset on the way down: then
 * the guest is looked at twice. Pure.
 */
export function needsSecondLook(moment: Moment): boolean {
  return moment === 'ready' || moment === 'settled' || moment === 'overdue';
}

/**
 * Whether the guest has no driver for a share. A guest that has not said that it is up may be in its firmware or boot menu
 * still; so the `witness` must have a driver: a device of every machine for which no firmware has one. Pure.
 */
export function lacksDriver(
  moment: Moment,
  share: PlannedShare,
  { driven, witness }: { readonly driven: Driven; readonly witness: Driven },
): boolean {
  if (driven !== false) return false;
  return moment === 'ready' || isRoot(share) || witness === true;
}

/** What the user is told about such a share. Pure. */
export function missingDriver({ directory, place }: PlannedShare): Notice {
  const where = printable(directory);
  const effect =
    place === null
      ? `it cannot mount its root file system, ${where} of this host`
      : `it cannot mount ${where} of this host at ${printable(place)}`;
  const initrd =
    place === null
      ? 'built in, or as a module in its initrd'
      : 'built in, or as a module, which is in its initrd as well where systemd runs there';
  return {
    level: 'warning',
    text: `The guest has loaded no driver for virtiofs so far: ${effect}. Its kernel needs CONFIG_VIRTIO_FS (Linux 5.4 or newer), ${initrd}.`,
  };
}

function isRoot({ place }: PlannedShare): boolean {
  return place === null;
}
