import { check, libc } from './koffi.ts';

const socketpairCall = libc<[number, number, number, Buffer], number>(
  'int socketpair(int, int, int, void *)',
);

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

const setsockopt = libc<[number, number, number, Buffer, number], number>(
  'int setsockopt(int, int, int, void *, uint)',
);
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;

/**
 * Gives a socket room for so many bytes that were sent and not read (socket(7), SO_SNDBUF), as far as we may: beyond
 * net.core.wmem_max only with CAP_NET_ADMIN. The kernel counts some 700 bytes for each small write.
 */
export function enlargeSendBuffer(fd: number, bytes: number): void {
  const value = Buffer.alloc(4);
  value.writeInt32LE(bytes);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, 4) !== 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, 4);
  }
}

/**
 * Two connected Unix stream sockets, close-on-exec and blocking (socketpair(2)). The caller closes both. Made by
 * ourselves because descriptors that are sent to a `stdio: 'pipe'` socket of Node are dropped: it reads with read(2).
 * Throws SystemCallError.
 */
export function socketpair(): readonly [number, number] {
  const pair = Buffer.alloc(8);
  check('socketpair', socketpairCall(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}
