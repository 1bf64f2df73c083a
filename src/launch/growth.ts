import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { FileError, ImageError, printable } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';

/**
 * Enlarges the image's file, which the caller has locked; what is new in it reads as zeros and takes no space yet. Throws
 * ImageError when it is not the file that was looked at, FileError when it cannot be enlarged.
 */
export function growImage({ path, identity, size }: NonNullable<Plan['growth']>): void {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const status = fstatSync(fd, { bigint: true });
    if (`${status.dev}:${status.ino}` !== identity) {
      throw new ImageError(
        `${printable(path)} was replaced by another file while the machine was being started`,
        {
          hint: 'Start it again.',
        },
      );
    }
    if (status.size < size) ftruncateSync(fd, size);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new FileError(`Image ${printable(path)} cannot be enlarged to ${size} bytes`, {
      cause: error,
      hint: 'Choose another size with --grow-image=, or move the image to another file system.',
    });
  } finally {
    if (fd !== null) closeSync(fd);
  }
}
