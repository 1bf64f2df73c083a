import type { HostFacts } from '../host/facts.ts';
import type { DiskImage } from './disk-images.ts';
import { pathLockName } from './identity.ts';
import type { Plan, PlannedLock, PlannedNvram, PlannedTpmState } from './plan.ts';

/** The lock of a machine's name. */
export function machineLock(machine: string): PlannedLock {
  return { file: `machine-${machine}`, mode: 'exclusive', what: `machine ${machine}` };
}

/** The lock of one image file, by device and inode, so that another path or link to it does not get around it. */
export function imageLock(
  path: string,
  identity: string,
  mode: PlannedLock['mode'],
  what = 'image',
): PlannedLock {
  return { file: `image-${identity.replace(':', '-')}`, mode, what: `${what} ${path}` };
}

/** The lock of a tree that is a machine's root file system, or that this is a copy of; by device and inode. */
export function treeLock(path: string, identity: string, mode: PlannedLock['mode']): PlannedLock {
  return { file: `tree-${identity.replace(':', '-')}`, mode, what: `directory ${path}` };
}

/** Everything that only one running machine may have: the name first, then the image's layers, then kept state. */
export function planLocks(
  machine: string,
  disks: readonly DiskImage[],
  tree: HostFacts['tree'],
  nvram: PlannedNvram | null,
  tpmState: PlannedTpmState | null,
): Plan['locks'] {
  const locks: PlannedLock[] = [machineLock(machine)];
  for (const { image, writes, what } of disks) {
    for (const [index, { path, identity }] of image.layers.entries()) {
      const mode = index === 0 && writes === 'itself' ? 'exclusive' : 'shared';
      locks.push(imageLock(path, identity, mode, what));
    }
  }
  if (tree !== null) {
    locks.push(treeLock(tree.path, tree.identity, tree.copyPlace === null ? 'exclusive' : 'shared'));
  }
  if (nvram !== null) {
    locks.push({
      file: pathLockName('nvram', nvram.path),
      mode: 'exclusive',
      what: `EFI variables ${nvram.path}`,
    });
  }
  if (tpmState?.persistent) {
    locks.push({
      file: pathLockName('tpm', tpmState.directory),
      mode: 'exclusive',
      what: `TPM state ${tpmState.directory}`,
    });
  }
  return locks;
}
