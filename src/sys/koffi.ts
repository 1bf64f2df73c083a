import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { getSystemErrorName } from 'node:util';

/** What of koffi is used. `poll` is called with (status, events), although its own types say one argument. */
interface Koffi {
  load(path: string | null): { func(signature: string): (...values: unknown[]) => unknown };
  errno(): number;
  address(buffer: Uint8Array): bigint;
  node: {
    poll(
      fd: number,
      events: { readable?: boolean; writable?: boolean; disconnect?: boolean },
      callback: (status: number, events: PollEvents) => void,
    ): PollHandle;
  };
}

export interface PollEvents {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly disconnect: boolean;
}

/** Keep it referenced: a collected one stops polling without a word. */
export interface PollHandle {
  start(
    events: { readable?: boolean; writable?: boolean; disconnect?: boolean },
    callback: (status: number, events: PollEvents) => void,
  ): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/**
 * Runs the body of a poll's callback. An exception in there would stop all further polling in the process, so it goes on
 * from the event loop.
 */
export function inPoll(action: () => void): void {
  try {
    action();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

let loaded: Koffi | undefined;

/**
 * koffi's addon, loaded at first use (2 ms). dist/koffi.node is taken when it is there: the wrapper of the package
 * costs another 6 ms at every start.
 */
export function koffi(): Koffi {
  if (loaded === undefined) {
    const require = createRequire(__filename);
    let addon: string | undefined;
    for (let directory = __dirname; addon === undefined; directory = dirname(directory)) {
      const candidate = join(directory, 'dist', 'koffi.node');
      if (existsSync(join(directory, 'koffi.node'))) addon = join(directory, 'koffi.node');
      else if (existsSync(candidate)) addon = candidate;
      else if (directory === dirname(directory)) break;
    }
    loaded = require(addon ?? 'koffi') as Koffi;
  }
  return loaded;
}

/** A system call that failed: `errno` as a number, `code` as its name (ENOENT). */
export class SystemCallError extends Error {
  readonly errno: number;
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${syscall} failed with ${code}`);
    this.name = 'SystemCallError';
    this.errno = errno;
    this.code = code;
    this.syscall = syscall;
  }
}

/**
 * A function of libc by its C prototype, bound at first call: `libc<[number], number>('int close(int)')`. Pointers are
 * Buffers; keep the Buffer referenced for as long as the kernel may use it. koffi has no ssize_t: say long.
 */
export function libc<Arguments extends unknown[], Result>(
  prototype: string,
): (...values: Arguments) => Result {
  let bound: ((...values: unknown[]) => unknown) | undefined;
  return (...values) => {
    bound ??= koffi().load(null).func(prototype);
    return bound(...values) as Result;
  };
}

/** The result of a call that says -1 for failure; throws SystemCallError with errno then. */
export function check(syscall: string, result: number): number {
  if (result === -1) throw new SystemCallError(syscall, koffi().errno());
  return result;
}
