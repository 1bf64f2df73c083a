import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { receiveDescriptors, sendDescriptors } from '../sys/ancillary.ts';
import { codeOf } from '../sys/error-code.ts';
import { isReady, type Readiness, watchShared } from '../sys/readiness.ts';
import { isTerminal } from '../sys/stdio.ts';

export type EndpointKind = 'terminal' | 'pipe' | 'socket' | 'file';

/** One of the user's standard descriptors, used so that nobody who shares it notices, and never blocking for long. */
interface Endpoint extends Disposable {
  /** `file` is everything that is always ready: regular files, /dev/null. */
  readonly kind: EndpointKind;
  readonly readiness: Readiness;
}

export interface InputEndpoint extends Endpoint {
  /** Bytes now in `buffer`; 0 at the end, which a terminal that hung up is as well; null when there is nothing yet. */
  read(buffer: Uint8Array): number | null;
}

export interface OutputEndpoint extends Endpoint {
  /** Bytes that were taken, maybe not all; null when nothing can be taken now. Throws OutputClosedError, ENOSPC etc. */
  write(chunk: Uint8Array): number | null;
  /** Waits in a system call until something can be taken, so many milliseconds at most. */
  wait(milliseconds: number): void;
}

/** Nobody reads our output any more. */
export class OutputClosedError extends Error {
  constructor(cause: unknown) {
    super('The output is closed', { cause });
    this.name = 'OutputClosedError';
  }
}

/** What a blocking write takes without waiting once poll(2) says so: a page of a pipe (PIPE_BUF, pipe(7)) ... */
const PIPE_STEP = 4096;
/** ... and what n_tty keeps free before it calls a terminal writable. */
const TERMINAL_STEP = 256;

/**
 * Opens standard input for reading as it comes. `ready` is called while `readiness` is started and there may be
 * something. The descriptor itself stays the caller's. Throws what fstat and epoll throw (EBADF).
 */
export function openInput(fd: number, ready: () => void): InputEndpoint {
  const kind = kindOf(fd);
  const own = reopen(fd, kind, constants.O_RDONLY);
  const from = own ?? fd;
  return {
    kind,
    ...shared(from, own, kind, 'readable', ready),
    read(buffer) {
      try {
        if (kind === 'socket') return receive(from, buffer);
        if (kind !== 'file' && own === null && !isReady(from, 'readable')) return null;
        return readSync(from, buffer, 0, buffer.length, null);
      } catch (error) {
        const code = codeOf(error);
        if (code === 'EAGAIN') return null;
        if (code === 'EIO' || code === 'ECONNRESET') return 0;
        throw error;
      }
    },
  };
}

/** Opens standard output, otherwise as openInput. Throws OutputClosedError when it is closed already. */
export function openOutput(fd: number, ready: () => void): OutputEndpoint {
  let kind: EndpointKind;
  try {
    kind = kindOf(fd);
  } catch (error) {
    throw new OutputClosedError(error);
  }
  // A regular file keeps its open file: another one would have a position of its own.
  const own = reopen(fd, kind, constants.O_WRONLY);
  const to = own ?? fd;
  const step = own !== null || kind === 'file' ? Infinity : kind === 'pipe' ? PIPE_STEP : TERMINAL_STEP;
  return {
    kind,
    ...shared(to, own, kind, 'writable', ready),
    write(chunk) {
      try {
        if (kind === 'socket') return sendDescriptors(to, chunk, []);
        if (step !== Infinity && !isReady(to, 'writable')) return null;
        return writeSync(to, chunk, 0, Math.min(chunk.length, step));
      } catch (error) {
        const code = codeOf(error);
        if (code === 'EAGAIN') return null;
        if (code === 'EPIPE' || code === 'EIO' || code === 'ECONNRESET' || code === 'EBADF') {
          throw new OutputClosedError(error);
        }
        throw error;
      }
    },
    wait(milliseconds) {
      if (kind !== 'file') isReady(to, 'writable', milliseconds);
    },
  };
}

function shared(
  fd: number,
  own: number | null,
  kind: EndpointKind,
  direction: 'readable' | 'writable',
  ready: () => void,
): { readiness: Readiness } & Disposable {
  let readiness: Readiness;
  try {
    readiness = kind === 'file' ? alwaysReady(ready) : watchShared(fd, direction, ready);
  } catch (error) {
    if (own !== null) closeSync(own);
    throw error;
  }
  let open = true;
  return {
    readiness,
    [Symbol.dispose]() {
      if (!open) return;
      open = false;
      readiness[Symbol.dispose]();
      if (own !== null) closeSync(own);
    },
  };
}

function kindOf(fd: number): EndpointKind {
  const facts = fstatSync(fd);
  if (facts.isFIFO()) return 'pipe';
  if (facts.isSocket()) return 'socket';
  return isTerminal(fd) ? 'terminal' : 'file';
}

/**
 * An open file of our own for the same terminal or pipe, non-blocking: the flag belongs to the open file, and on the
 * one that we were given it would break the user's shell and whatever else shares it. Null where there is none to get:
 * sockets, a terminal of another user after su(1), no /proc.
 */
function reopen(fd: number, kind: EndpointKind, access: number): number | null {
  if (kind !== 'terminal' && kind !== 'pipe') return null;
  const flags = access | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return openSync(`/proc/self/fd/${fd}`, flags);
  } catch {}
  try {
    if (kind === 'terminal' && controllingTerminal() === fstatSync(fd).rdev)
      return openSync('/dev/tty', flags);
  } catch {}
  return null;
}

/** Device number of our controlling terminal: tty_nr, the 7th field of /proc/self/stat (proc(5)); 0 for none. */
function controllingTerminal(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , , , device] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(device);
}

function alwaysReady(ready: () => void): Readiness {
  let next: NodeJS.Immediate | undefined;
  const turn = () => {
    next = setImmediate(turn);
    ready();
  };
  const readiness: Readiness = {
    start() {
      next ??= setImmediate(turn);
    },
    stop() {
      clearImmediate(next);
      next = undefined;
    },
    [Symbol.dispose]() {
      readiness.stop();
    },
  };
  return readiness;
}

function receive(fd: number, buffer: Uint8Array): number | null {
  const message = receiveDescriptors(fd, buffer);
  for (const descriptor of message?.descriptors ?? []) closeSync(descriptor);
  return message === null ? null : message.length;
}
