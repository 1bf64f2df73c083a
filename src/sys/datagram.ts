import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { check, koffi, libc, SystemCallError } from './koffi.ts';
import { unixAddress } from './unix-address.ts';

const socket = libc<[number, number, number], number>('int socket(int, int, int)');
const connect = libc<[number, Buffer, number], number>('int connect(int, void *, unsigned int)');
const send = libc<[number, Buffer, number, number], number>('long send(int, void *, size_t, int)');
const poll = libc<[Buffer, number, number], number>('int poll(void *, unsigned long, int)');

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const POLLOUT = 4;
/** Milliseconds that a receiver gets to make room in its queue. */
const PATIENCE = 1000;

/**
 * Sends one datagram to a Unix socket, by its path or as an abstract `@name`. Throws SystemCallError, PathTooLongError;
 * EAGAIN when the receiver takes nothing for a second.
 */
export function sendDatagram(address: string, message: Buffer): void {
  const target = unixAddress(address);
  const fd = check('socket', socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    check('connect', connect(fd, target, target.length));
    for (let attempt = 0; ; attempt += 1) {
      if (send(fd, message, message.length, MSG_DONTWAIT | MSG_NOSIGNAL) !== -1) return;
      const errno = koffi().errno();
      const again = errno === constants.errno.EAGAIN || errno === constants.errno.EINTR;
      if (!again || attempt === 3) throw new SystemCallError('send', errno);
      const request = Buffer.alloc(8);
      request.writeInt32LE(fd, 0);
      request.writeInt16LE(POLLOUT, 4);
      if (poll(request, 1, PATIENCE) === 0) throw new SystemCallError('send', constants.errno.EAGAIN);
    }
  } finally {
    closeSync(fd);
  }
}
