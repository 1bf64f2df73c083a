import { type EarlyChild, exitInWords, startEarlyChild } from '../child/early-child.ts';
import { DisposalStack } from '../disposal.ts';
import { AuxiliaryError } from '../errors.ts';
import { type Environment, programEnvironment } from '../host/identity.ts';
import type { PlannedAuxiliary } from '../plan/plan.ts';
import { originalDescriptorLimit } from '../sys/limits.ts';
import { listenUnix } from '../sys/unix-listener.ts';
import type { Manager, RunningAuxiliary } from './manager.ts';
import { ownSocket } from './own-socket.ts';

/** The listening socket's number in the daemon, right after standard error. */
const socketDescriptor = 3;

/** Milliseconds that a daemon gets to end by itself after SIGTERM. */
const endTimeout = 5_000;

/**
 * No service manager: daemons are children of ours, on sockets that we bind. They go through the same early child as
 * QEMU, which sees to it that they die with us and hold no descriptor but their own.
 */
export class ChildManager implements Manager {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  async clear(): Promise<void> {}

  async enter(): Promise<void> {}

  onRequest(): void {}

  async terminating(): Promise<boolean> {
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async startAuxiliary(plan: PlannedAuxiliary, signal: AbortSignal): Promise<RunningAuxiliary> {
    await using stack = new DisposalStack();
    try {
      const child = stack.use(startEarlyChild({ signal, workingDirectory: plan.workingDirectory }));
      const { kind, path } = plan.socket;
      const listener = kind === 'listening' ? stack.use(listenUnix(path)) : null;
      await child.handOver(
        {
          argv: [
            plan.binary,
            ...plan.arguments.map((word) => word.replace('{socket}', String(socketDescriptor))),
          ],
          environment: programEnvironment(this.#environment),
          descriptors: listener === null ? [] : [{ target: socketDescriptor, fd: listener.fd }],
          ownSession: true,
          // A daemon that serves files needs one for each that the guest knows.
          descriptorLimit: plan.sandbox === undefined ? null : everyDescriptor(),
        },
        signal,
      );
      listener?.releaseDescriptor();
      stack.defer(() => terminate(child, endTimeout));
      const ended = child.exited.then(exitInWords);
      const lastWords = async () => child.stderrTail.last(3).join('; ');
      if (kind === 'path') await ownSocket(path, ended, lastWords, signal);
      const owned = stack.move();
      return {
        plan,
        unit: null,
        ended,
        lastWords,
        [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
      };
    } catch (error) {
      if (signal.aborted) throw error;
      throw new AuxiliaryError(`${plan.description} ${plan.name} cannot be started`, {
        cause: error,
        required: plan.required,
        daemon: plan.name,
      });
    }
  }
}

function everyDescriptor(): { soft: number; hard: number } {
  const { hard } = originalDescriptorLimit();
  return { soft: hard, hard };
}

/** Asks a daemon to end, and ends it when it does not. */
async function terminate(child: EarlyChild, timeout: number): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  await child.exited;
  clearTimeout(timer);
}
