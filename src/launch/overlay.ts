import { closeSync, constants, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FileError, printable } from '../errors.ts';
import { liesInMemory } from '../host/throw-away-place.ts';
import { emptyQcow2 } from '../image/empty-qcow2.ts';
import type { PlannedDescriptor } from '../plan/plan.ts';
import { codeOf } from '../sys/error-code.ts';

/** open(2), O_TMPFILE: a file without a name; the bit is the same on x86 and ARM, the one for directories is not. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/**
 * Opens an empty qcow2 image without a name for what a guest writes and nobody keeps, in the first of the directories that
 * can have it and does not lie in memory. Throws FileError with the reason for each directory.
 */
export function openOverlay({ directories, size, what }: PlannedDescriptor & { kind: 'overlay' }): number {
  const reasons: string[] = [];
  for (const directory of directories) {
    let fd: number;
    try {
      if (liesInMemory(directory)) {
        reasons.push(`${printable(directory)} lies in memory`);
        continue;
      }
      fd = openUnnamed(directory);
    } catch (error) {
      reasons.push(`${printable(directory)}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    try {
      const { writes, length } = emptyQcow2(size);
      ftruncateSync(fd, length);
      for (const { offset, bytes } of writes) {
        if (writeSync(fd, bytes, 0, bytes.length, offset) < bytes.length) throw new Error('no space left');
      }
      return fd;
    } catch (error) {
      closeSync(fd);
      reasons.push(`${printable(directory)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new FileError(
    `There is no place for what the guest writes to ${printable(what)} (${reasons.join('; ')})`,
    { hint: 'Make room beside the image or in /var/tmp.' },
  );
}

/** Some file systems cannot make files without a name; there it loses it at once. */
function openUnnamed(directory: string): number {
  const access = constants.O_RDWR | constants.O_EXCL;
  try {
    return openSync(directory, access | O_TMPFILE, 0o600);
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'EOPNOTSUPP' && code !== 'EISDIR') throw error;
  }
  const path = join(directory, `.#vmspawn-overlay-${process.pid}-${process.hrtime.bigint()}`);
  const fd = openSync(path, access | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  unlinkSync(path);
  return fd;
}
