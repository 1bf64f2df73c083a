import { closeSync, constants, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { constants as os } from 'node:os';
import { koffi, libc, SystemCallError } from './koffi.ts';

const fcntl = libc<[number, number, Buffer], number>('int fcntl(int, int, void *)');

const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;

export type LockMode = 'exclusive' | 'shared';

/** Who holds a lock, in its own words: written into the lock file, because OFD locks have no owner that can be asked. */
export interface LockHolder {
  readonly pid: number;
  readonly name: string;
}

/** Somebody else holds the lock. `holder` is null while it has not written its name yet. */
export class LockHeldError extends Error {
  readonly path: string;
  readonly holder: LockHolder | null;

  constructor(path: string, holder: LockHolder | null) {
    super(`${path} is locked${holder === null ? '' : ` by ${holder.name} (PID ${holder.pid})`}`);
    this.name = 'LockHeldError';
    this.path = path;
    this.holder = holder;
  }
}

/** A lock that is held until it is disposed of, or until the process ends in whatever way. */
export interface OfdLock extends Disposable, AsyncDisposable {
  readonly path: string;
}

/**
 * Takes a lock on a file (open file description lock, fcntl(2) F_OFD_SETLK), making the file with mode 0600 when it is
 * not there, and writes `name` and our PID into it (of several holders of a shared lock the last one is named). The file is never removed: who removes a lock file lets
 * two holders in. Throws LockHeldError, SystemCallError, or the error of open(2).
 */
export function acquireLock(path: string, name: string, mode: LockMode = 'exclusive'): OfdLock {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (!lockDescriptor(fd, mode)) throw new LockHeldError(path, readHolder(fd));
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid} ${name.replaceAll('\n', ' ')}\n`, 0);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  let held = true;
  const lock: OfdLock = {
    path,
    [Symbol.dispose]() {
      if (!held) return;
      held = false;
      try {
        ftruncateSync(fd, 0);
      } finally {
        closeSync(fd);
      }
    },
    async [Symbol.asyncDispose]() {
      lock[Symbol.dispose]();
    },
  };
  return lock;
}

/** Tries to lock the whole of an open file (opened for writing when exclusive); false when somebody else has it. Throws SystemCallError. */
export function lockDescriptor(fd: number, mode: LockMode = 'exclusive'): boolean {
  // struct flock of 64-bit Linux: i16 type, i16 whence, i64 start, i64 length, i32 pid. Zeros: from 0 to the end.
  const request = Buffer.alloc(32);
  request.writeInt16LE(mode === 'exclusive' ? F_WRLCK : F_RDLCK, 0);
  if (fcntl(fd, F_OFD_SETLK, request) === 0) return true;
  const errno = koffi().errno();
  if (errno === os.errno.EAGAIN || errno === os.errno.EACCES) return false;
  throw new SystemCallError('fcntl(F_OFD_SETLK)', errno);
}

function readHolder(fd: number): LockHolder | null {
  const buffer = Buffer.alloc(4096);
  const text = buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
  const match = /^(\d{1,10}) ([^\n]+)\n/.exec(text);
  return match?.[1] === undefined || match[2] === undefined
    ? null
    : { pid: Number(match[1]), name: match[2] };
}
