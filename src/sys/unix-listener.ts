import { closeSync, fchmodSync, lstatSync, rmSync } from 'node:fs';
import { check, libc } from './koffi.ts';
import { unixAddress } from './unix-address.ts';

const socket = libc<[number, number, number], number>('int socket(int, int, int)');
const bind = libc<[number, Buffer, number], number>('int bind(int, void *, unsigned int)');
const listen = libc<[number, number], number>('int listen(int, int)');

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

/** A listening socket under a path. Disposal closes it and removes the path, if it is still the one that we made. */
export interface UnixListener extends Disposable, AsyncDisposable {
  /** To pass on to a daemon, or for `net.Server.listen({fd})`. Close-on-exec. */
  readonly fd: number;
  readonly path: string;
  /** Gives our copy of the descriptor up once a daemon holds one, or to net.Server; the path stays until disposal. */
  releaseDescriptor(options?: { close: boolean }): void;
}

/**
 * Binds and listens on a Unix stream socket. Nobody but the owner can connect (mode 0600 from the first moment on),
 * unless `mode` says otherwise. Throws SystemCallError (EADDRINUSE when the path exists) or PathTooLongError.
 */
export function listenUnix(
  path: string,
  { backlog = 128, mode = 0o600 }: { backlog?: number; mode?: number } = {},
): UnixListener {
  const address = unixAddress(path);
  const fd = check('socket', socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  let inode: bigint;
  try {
    // bind(2) gives the file the mode of the socket less the umask, so there is no moment with a wider one.
    fchmodSync(fd, mode);
    check('bind', bind(fd, address, address.length));
    inode = lstatSync(path, { bigint: true }).ino;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  let open = true;
  const listener: UnixListener = {
    fd,
    path,
    releaseDescriptor({ close } = { close: true }) {
      if (open && close) closeSync(fd);
      open = false;
    },
    [Symbol.dispose]() {
      listener.releaseDescriptor();
      const now = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      // Its directory may be removed by a service manager at the same moment.
      if (now?.isSocket() && now.ino === inode) rmSync(path, { force: true });
    },
    async [Symbol.asyncDispose]() {
      listener[Symbol.dispose]();
    },
  };
  try {
    check('listen', listen(fd, backlog));
  } catch (error) {
    listener[Symbol.dispose]();
    throw error;
  }
  return listener;
}
