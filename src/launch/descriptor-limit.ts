import { HostError } from '../errors.ts';
import { descriptorLimit } from '../sys/limits.ts';

/**
 * Open files that a start and QEMU can do with: QEMU has 80 for the smallest machine and 160 for one with some drives and
 * directories. bin/vmspawn has the same number.
 */
export const leastDescriptors = 256;

/** Before anything is opened or looked at. `hard` is the limit of this process. Throws HostError. */
export function checkDescriptorLimit(hard: number = descriptorLimit().hard): void {
  if (hard < leastDescriptors) throw tooFew(hard);
}

/**
 * An error of a start that ran out of descriptors, in other words: what could not be opened is not the cause. All other
 * errors are given back as they are.
 */
export function explainedByLimit(error: unknown, hard: number = descriptorLimit().hard): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && cause.code === 'EMFILE') return tooFew(hard, error);
  }
  return error;
}

function tooFew(hard: number, cause?: unknown): HostError {
  return new HostError(`The limit of open files is ${hard}, which is too low for this machine`, {
    hint: `Raise it to ${Math.max(leastDescriptors, 2 * hard)} or more: "ulimit -n" in the shell, LimitNOFILE= in a unit.`,
    ...(cause === undefined ? {} : { cause }),
  });
}
