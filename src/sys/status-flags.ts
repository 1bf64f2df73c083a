import { check, libc } from './koffi.ts';

const fcntl = libc<[number, number, number], number>('int fcntl(int, int, long)');

const F_GETFL = 3;
const F_SETFL = 4;

/** The file status flags (O_NONBLOCK, O_APPEND, ...) of the open file behind a descriptor. Throws SystemCallError. */
export function getStatusFlags(fd: number): number {
  return check('fcntl(F_GETFL)', fcntl(fd, F_GETFL, 0));
}

/** Sets what getStatusFlags gave; all who share the open file see it. Throws SystemCallError. */
export function setStatusFlags(fd: number, flags: number): void {
  check('fcntl(F_SETFL)', fcntl(fd, F_SETFL, flags));
}
