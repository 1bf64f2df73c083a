import { join } from 'node:path';
import { DisposalStack } from '../disposal.ts';
import { FileError, LockError } from '../errors.ts';
import type { PlannedLock } from '../plan/plan.ts';
import { acquireLock, LockHeldError } from '../sys/lock.ts';
import { ensurePrivateDirectory } from './runtime-directory.ts';

/**
 * The locks of one machine: files in one directory, never removed, held by open file description locks, so that the
 * kernel gives them back in whatever way we end.
 */
export class MachineLocks implements AsyncDisposable {
  readonly #directory: string;
  readonly #machine: string;
  readonly #held = new Set<string>();
  readonly #stack = new DisposalStack();

  private constructor(directory: string, machine: string) {
    this.#directory = directory;
    this.#machine = machine;
  }

  /** `directory` is made with mode 0700 where it is missing. */
  static open(directory: string, machine: string): MachineLocks {
    ensurePrivateDirectory(directory);
    return new MachineLocks(directory, machine);
  }

  /** Takes a lock, unless it is held by this machine already. Throws LockError naming the holder. */
  take(lock: PlannedLock): void {
    if (this.#held.has(lock.file)) return;
    try {
      this.#stack.use(acquireLock(join(this.#directory, lock.file), this.#machine, lock.mode));
    } catch (error) {
      if (!(error instanceof LockHeldError)) {
        throw new FileError(`The lock of ${lock.what} cannot be taken`, { cause: error });
      }
      const holder =
        error.holder === null ? 'another process' : `${error.holder.name} (PID ${error.holder.pid})`;
      throw lock.file.startsWith('machine-')
        ? new LockError(
            `The machine ${this.#machine} is running already, by PID ${error.holder?.pid ?? '?'}`,
            {
              hint: 'Stop it first, or give this one another name with --machine=NAME.',
            },
          )
        : new LockError(`The ${lock.what} is in use by the machine ${holder}`, {
            hint: 'Stop that machine first, or make a copy.',
          });
    }
    this.#held.add(lock.file);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack[Symbol.asyncDispose]();
  }
}
