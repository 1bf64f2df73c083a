import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { constants as os } from 'node:os';
import { codeOf } from './error-code.ts';
import { koffi, libc, SystemCallError } from './koffi.ts';

const flock = libc<[number, number], number>('int flock(int, int)');
const [LOCK_EX, LOCK_NB] = [2, 4];

/**
 * Locks a directory of this user's (flock(2), which directories can have): until disposal, or until the process ends in
 * whatever way. null when somebody else has it, or when it is no directory of ours or gone by now. Throws SystemCallError
 * where the file system has no such locks, or the error of open(2).
 */
export function lockDirectory(path: string): Disposable | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  try {
    if (flock(fd, LOCK_EX | LOCK_NB) !== 0) {
      const errno = koffi().errno();
      if (errno !== os.errno.EWOULDBLOCK) throw new SystemCallError('flock', errno);
    } else if (isOurs(fd, path)) {
      return { [Symbol.dispose]: () => closeSync(fd) };
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return null;
}

/** Whether it is still at its path: who had it before may have removed it. */
function isOurs(fd: number, path: string): boolean {
  const { dev, ino, uid } = fstatSync(fd, { bigint: true });
  try {
    const now = lstatSync(path, { bigint: true });
    return now.dev === dev && now.ino === ino && Number(uid) === process.geteuid?.();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
}
