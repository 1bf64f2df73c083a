import { closeSync, fstatSync, statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { check, koffi, libc, type PollHandle } from './koffi.ts';

const syscall = libc<[number, number, number, number, number], number>(
  'long syscall(long, long, long, long, long)',
);

// The numbers are the same on every architecture.
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;

/** Handles that poll: a collected one stops without a word. */
const polling = new Set<PollHandle>();

/** A process that cannot be mistaken for a later one with the same PID (pidfd_open(2)). */
export interface Pidfd extends Disposable, AsyncDisposable {
  /** Close-on-exec. */
  readonly fd: number;
  readonly pid: number;
  /** Settles once the process has ended, reaped or not; never after disposal. Keeps the event loop alive. */
  exited(): Promise<void>;
  /** Throws SystemCallError: ESRCH when the process is reaped, EPERM. */
  signal(signal: NodeJS.Signals): void;
}

/** f_type of the file system of pidfds (linux/magic.h). */
const PID_FS_MAGIC = 0x50494446n;

/**
 * The inode of our own pidfd, which names this process as long as the host is up; null before Linux 6.9, where all pidfds have the
 * same one.
 */
export function ownPidfdId(): bigint | null {
  try {
    using pidfd = openPidfd(process.pid);
    if (statfsSync(`/proc/self/fd/${pidfd.fd}`, { bigint: true }).type !== PID_FS_MAGIC) return null;
    return fstatSync(pidfd.fd, { bigint: true }).ino;
  } catch {
    return null;
  }
}

/** Opens a process by its PID. Throws SystemCallError (ESRCH when there is none). */
export function openPidfd(pid: number): Pidfd {
  const fd = check('pidfd_open', syscall(PIDFD_OPEN, pid, 0, 0, 0));
  let handle: PollHandle | undefined;
  let exited: Promise<void> | undefined;
  let open = true;
  const stop = () => {
    if (handle === undefined) return;
    polling.delete(handle);
    handle.close();
    handle = undefined;
  };
  const pidfd: Pidfd = {
    fd,
    pid,
    exited() {
      exited ??= new Promise((resolve) => {
        if (!open) return;
        handle = koffi().node.poll(fd, { readable: true }, () => {
          stop();
          resolve();
        });
        polling.add(handle);
      });
      return exited;
    },
    signal(signal) {
      check('pidfd_send_signal', syscall(PIDFD_SEND_SIGNAL, fd, constants.signals[signal], 0, 0));
    },
    [Symbol.dispose]() {
      if (!open) return;
      open = false;
      stop();
      closeSync(fd);
    },
    async [Symbol.asyncDispose]() {
      pidfd[Symbol.dispose]();
    },
  };
  return pidfd;
}
