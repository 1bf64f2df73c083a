import type { Owned } from '../disposal.ts';
import { HandOverError } from '../errors.ts';
import { type ChildOptions, type ExitStatus, exitInWords, startChild } from './child-program.ts';

/**
 * The process that stands for the machine at a systemd-machined before 261, whose machinectl knows nothing but signals
 * to a machine's leader: SIGRTMIN+4 to power off, SIGINT to reboot, SIGTERM or SIGKILL to terminate (machinectl(1)). QEMU
 * would end at once from them, with the guest's file systems mounted. Disposal kills it and waits until it is gone.
 */
export interface Leader extends Owned {
  readonly pid: number;
  /**
   * Settles when it handles signals; before that they would end it, so it must not be registered earlier. Rejects with
   * HandOverError when it ends before.
   */
  readonly ready: Promise<void>;
  /**
   * Calls `handler` with the number of each signal that the process gets (SIGKILL and SIGSTOP cannot be told), those from
   * before this call included. A unit that is stopped gets SIGCONT after SIGTERM, which is told too.
   */
  onSignal(handler: (signal: number) => void): void;
  /** Settles when it has ended, by SIGKILL for example. Never rejects. */
  readonly exited: Promise<ExitStatus>;
}

/**
 * Starts the leader, on the main thread as every child. It is in a session of its own and dies with us. Its side of the
 * channel says a byte 0 when it is ready, then the number of each signal. Throws HandOverError, InterruptedError.
 */
export function startLeader(options: Omit<ChildOptions, 'workingDirectory'> = {}): Leader {
  const child = startChild(['leader'], { ...options, workingDirectory: '/' });
  const handlers: ((signal: number) => void)[] = [];
  const early: number[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    child.channel.on('data', (bytes: Buffer) => {
      for (const number of bytes) {
        if (number === 0) resolve();
        else if (handlers.length === 0) early.push(number);
        else for (const handler of handlers) handler(number);
      }
    });
    void child.exited.then((exit) => {
      const words = child.stderrTail.last(3).join('; ');
      reject(
        new HandOverError(
          `The leader process of the machine ended at its start (${exitInWords(exit)})${words && `: ${words}`}`,
        ),
      );
    });
  });
  // Nobody needs to wait for it.
  ready.catch(() => {});

  return {
    pid: child.pid,
    ready,
    exited: child.exited,
    onSignal(handler) {
      handlers.push(handler);
      for (const number of early.splice(0)) handler(number);
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
