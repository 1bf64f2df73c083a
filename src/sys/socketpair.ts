import { check, libc } from './koffi.ts';

const socketpairCall = libc<[number, number, number, Buffer], number>(
  'int socketpair(int, int, int, void *)',
);

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

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
