import { closeSync } from 'node:fs';
import { check, inPoll, koffi, libc, type PollHandle } from './koffi.ts';

const epollCreate = libc<[number], number>('int epoll_create1(int)');
const epollControl = libc<[number, number, number, Buffer], number>('int epoll_ctl(int, int, int, void *)');
const pollCall = libc<[Buffer, number, number], number>('int poll(void *, unsigned long, int)');

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
/** POLLIN and EPOLLIN, POLLOUT and EPOLLOUT are the same numbers; a hang-up is told without being asked for. */
const masks = { readable: 1, writable: 4, hangUp: 0 } as const;

export type Direction = keyof typeof masks;

/** Tells when a descriptor can be read or written, or that its peer is gone. Starts stopped; keeps the event loop alive while it is started. */
export interface Readiness extends Disposable {
  start(): void;
  stop(): void;
}

/** A poll handle that is collected stops polling. */
const open = new Set<Readiness>();

/**
 * Watches a descriptor whose open file others share, without touching its flags: libuv's poll sets O_NONBLOCK on what
 * it watches, so that it gets to watch an epoll(7) descriptor with ours in it. Works for terminals, pipes and
 * sockets; throws SystemCallError (EPERM for regular files and most devices). `ready` is called on errors and a
 * hang-up too, which the next system call then tells.
 */
export function watchShared(fd: number, direction: Direction, ready: () => void): Readiness {
  const epoll = check('epoll_create1', epollCreate(EPOLL_CLOEXEC));
  // struct epoll_event is packed on x86-64 only; the events come first everywhere.
  const event = Buffer.alloc(16);
  event.writeUInt32LE(masks[direction], 0);
  try {
    check('epoll_ctl', epollControl(epoll, EPOLL_CTL_ADD, fd, event));
  } catch (error) {
    closeSync(epoll);
    throw error;
  }
  let handle: PollHandle | undefined;
  let started = false;
  let closed = false;
  const onPoll = () => inPoll(ready);
  const readiness: Readiness = {
    start() {
      if (started || closed) return;
      started = true;
      if (handle === undefined) handle = koffi().node.poll(epoll, { readable: true }, onPoll);
      else handle.start({ readable: true }, onPoll);
    },
    stop() {
      if (!started || closed) return;
      started = false;
      handle?.stop();
    },
    [Symbol.dispose]() {
      if (closed) return;
      closed = true;
      open.delete(readiness);
      handle?.close();
      closeSync(epoll);
    },
  };
  open.add(readiness);
  return readiness;
}

/**
 * Whether the descriptor is ready, now or within so many milliseconds, for which nothing else goes on (poll(2)); true for one
 * in error, which the next call tells.
 */
export function isReady(fd: number, direction: Direction, within = 0): boolean {
  const request = Buffer.alloc(8);
  request.writeInt32LE(fd, 0);
  request.writeInt16LE(masks[direction], 4);
  return pollCall(request, 1, Math.ceil(within)) !== 0;
}
