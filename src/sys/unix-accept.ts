import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { inPoll, koffi, libc, type PollHandle } from './koffi.ts';

const accept4 = libc<[number, null, null, number], number>('int accept4(int, void *, void *, int)');

const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** Connections in a row before the event loop has its turn. */
const BATCH = 64;
/** Milliseconds of rest when the process or the host has no descriptors left. */
const REST = 200;

/** A collected poll handle stops polling. */
const open = new Set<Disposable>();

/**
 * Accepts connections on a listening Unix socket and takes its descriptor over; disposal closes it. `connected` is
 * given each connection's descriptor (close-on-exec, non-blocking) and owns it. When descriptors run out, connections
 * wait in the kernel's queue and are tried again.
 */
export function acceptConnections(listening: number, connected: (fd: number) => void): Disposable {
  let rest: NodeJS.Timeout | undefined;
  const accept = () => {
    for (let turn = 0; turn < BATCH && open.has(acceptor); turn += 1) {
      const fd = accept4(listening, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd !== -1) {
        connected(fd);
        continue;
      }
      const { EAGAIN, EINTR, ECONNABORTED } = constants.errno;
      const errno = koffi().errno();
      if (errno === EAGAIN) return;
      if (errno === EINTR || errno === ECONNABORTED) continue;
      // EMFILE, ENFILE, ENOMEM: the connection stays ready, so that polling on would never let anything else run.
      handle.stop();
      rest = setTimeout(() => handle.start({ readable: true }, ready), REST);
      return;
    }
  };
  const ready = () => inPoll(accept);
  const handle: PollHandle = koffi().node.poll(listening, { readable: true }, ready);
  const acceptor: Disposable = {
    [Symbol.dispose]() {
      if (!open.delete(acceptor)) return;
      clearTimeout(rest);
      handle.close();
      closeSync(listening);
    },
  };
  open.add(acceptor);
  return acceptor;
}
