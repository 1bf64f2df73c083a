import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { check, koffi, libc, SystemCallError } from './koffi.ts';
import { unixAddress } from './unix-address.ts';

const socket = libc<[number, number, number], number>('int socket(int, int, int)');
const connect = libc<[number, Buffer, number], number>('int connect(int, void *, unsigned int)');

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

/**
 * Connects a Unix stream socket to a path, or to an abstract `@name`, without blocking. Gives the descriptor,
 * close-on-exec and non-blocking, or null when the listener's queue is full: try again later. Throws SystemCallError
 * (ENOENT, ECONNREFUSED when nobody listens any more, EACCES) or PathTooLongError.
 */
export function connectUnix(path: string): number | null {
  const address = unixAddress(path);
  const fd = check('socket', socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  for (;;) {
    if (connect(fd, address, address.length) === 0) return fd;
    const errno = koffi().errno();
    if (errno === constants.errno.EINTR) continue;
    closeSync(fd);
    if (errno === constants.errno.EAGAIN) return null;
    throw new SystemCallError('connect', errno);
  }
}
