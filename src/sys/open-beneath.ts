import { closeSync, constants, openSync } from 'node:fs';
import { constants as os } from 'node:os';
import { relative } from 'node:path';
import { check, koffi, libc } from './koffi.ts';

const syscall = libc<[number, number, string, Buffer, number], number>(
  'long syscall(long, long, const char *, void *, long)',
);

/** The same number on all architectures. */
const OPENAT2 = 437;

/** linux/openat2.h: struct open_how, three numbers of 8 bytes, and what its last one may say. */
const openHowSize = 24;
const [RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH] = [0x04n, 0x08n];

/** Not in Node's constants; the same on x86 and arm64. */
const [O_CLOEXEC, O_PATH] = [0o2000000, 0o10000000];

/**
 * Opens `path` in the directory `root`, both absolute and without links, for reading; nothing on the way below `root` may
 * be a link by now, whoever changes the tree meanwhile (openat2(2)). Before Linux 5.6 as open(2) does. Throws
 * SystemCallError (ELOOP for a link) or the error of open(2).
 */
export function openBeneath(root: string, path: string): number {
  const directory = openSync(root, O_PATH | constants.O_DIRECTORY);
  try {
    const how = Buffer.alloc(openHowSize);
    how.writeBigUInt64LE(BigInt(constants.O_RDONLY | constants.O_NONBLOCK | O_CLOEXEC), 0);
    how.writeBigUInt64LE(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, 16);
    const fd = syscall(OPENAT2, directory, relative(root, path), how, openHowSize);
    // EPERM: a filter that does not know it, as old container managers have.
    if (fd === -1 && [os.errno.ENOSYS, os.errno.EPERM].includes(koffi().errno())) {
      return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    }
    return check('openat2', fd);
  } finally {
    closeSync(directory);
  }
}
