import { HandOverError } from '../errors.ts';
import { type ChildOptions, type ChildProgram, startChild } from './child-program.ts';
import { exchange } from './hand-over.ts';
import type { ExecRequest } from './protocol.ts';

export { type ExitStatus, exitInWords } from './child-program.ts';
export type { ExecRequest } from './protocol.ts';

/**
 * A process that waits to become QEMU: first there, so that it can be put into a scope, with the PID that QEMU has to
 * the end. It dies with us. Disposal kills it, as a child or as QEMU, and waits until it is gone.
 */
export interface EarlyChild extends Omit<ChildProgram, 'channel'> {
  /**
   * Makes it the program of the request, once. Settles when the program runs; our copies of the descriptors may be
   * closed then. Throws HandOverError (with the system's reason in words), InterruptedError when `signal` aborts: the
   * child is to be disposed of in both cases.
   */
  handOver(request: ExecRequest, signal?: AbortSignal): Promise<void>;
}

/**
 * Starts the early child. To be called on the main thread of the process that stays: the child is told when the thread
 * that made it ends. Throws HandOverError, InterruptedError.
 */
export function startEarlyChild(options: ChildOptions = {}): EarlyChild {
  const { channel, ...child } = startChild([], options);
  let handedOver = false;
  return {
    ...child,
    async handOver(request, signal) {
      if (handedOver) throw new HandOverError('The early child has been given a program already');
      handedOver = true;
      channel.ref();
      try {
        await exchange(channel, request, signal);
      } finally {
        await channel[Symbol.asyncDispose]();
      }
    },
  };
}
