import { readdirSync } from 'node:fs';
import { check, libc } from './koffi.ts';

const fcntl = libc<[number, number, number], number>('int fcntl(int, int, long)');
const dup2 = libc<[number, number], number>('int dup2(int, int)');
const pipe2 = libc<[Buffer, number], number>('int pipe2(void *, int)');
const syscall = libc<[number, number, number, number], number>('long syscall(long, long, long, long)');

const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const FD_CLOEXEC = 1;
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;

/** A pipe: [end to read, end to write], both close-on-exec. The caller closes both. Throws SystemCallError. */
export function pipe(): readonly [number, number] {
  const pair = Buffer.alloc(8);
  check('pipe2', pipe2(pair, O_CLOEXEC));
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/** Gives a pipe room for so many bytes, if we may (fcntl(2), F_SETPIPE_SZ); else it keeps what it has. */
export function enlargePipe(fd: number, bytes: number): void {
  fcntl(fd, F_SETPIPE_SZ, bytes);
}

/** Bytes that a pipe holds: users who have many get small ones (pipe(7), pipe-user-pages-soft). Throws SystemCallError. */
export function pipeSize(fd: number): number {
  return check('fcntl(F_GETPIPE_SZ)', fcntl(fd, F_GETPIPE_SZ, 0));
}

/** A copy with the lowest free number from `from` on, close-on-exec. Throws SystemCallError. */
export function duplicate(fd: number, from = 3): number {
  return check('fcntl(F_DUPFD_CLOEXEC)', fcntl(fd, F_DUPFD_CLOEXEC, from));
}

/** dup2(2): `target` becomes a copy of `fd` that stays over execve. Throws SystemCallError. */
export function duplicateTo(fd: number, target: number): void {
  check('dup2', dup2(fd, target));
}

/** Throws SystemCallError. */
export function setCloseOnExec(fd: number, on: boolean): void {
  check('fcntl(F_SETFD)', fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

/** For descriptors that nobody shares: the flag belongs to the open file, not to the number. Throws SystemCallError. */
export function setNonBlocking(fd: number): void {
  check('fcntl(F_SETFL)', fcntl(fd, F_SETFL, check('fcntl(F_GETFL)', fcntl(fd, F_GETFL, 0)) | O_NONBLOCK));
}

/**
 * Marks all descriptors from `first` on, so that execve closes them: close_range(2), or one by one on kernels before
 * 5.11. Throws the error of reading /proc/self/fd.
 */
export function closeOnExecFrom(first: number): void {
  if (syscall(CLOSE_RANGE, first, 0xffffffff, CLOSE_RANGE_CLOEXEC) === 0) return;
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    // Among them is the one that the listing was read with, which is closed by now: no error.
    if (fd >= first) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}
