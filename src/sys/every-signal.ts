import { constants } from 'node:os';

interface SignalHandle {
  onsignal: (signal: number) => void;
  start(signal: number): number;
}

const { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV } = constants.signals;
/** Raised by an instruction, which would raise it again and again after a handler. */
const faults: readonly number[] = [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV];
const LAST_SIGNAL = 64;

/**
 * Calls `handler` with the number of every signal that this process gets and that can be handled, real-time ones
 * included: process.on() has no names for those, and a signalfd(2) gets nothing as long as Node's other threads do not block
 * the signals. What remains is the handle beneath process.on(), which Node deprecates without another way; where it is
 * gone this throws Error. For processes that do nothing else: it switches deprecation warnings off.
 */
export function onEverySignal(handler: (signal: number) => void): void {
  process.noDeprecation = true;
  const binding: unknown = Reflect.get(process, 'binding');
  if (typeof binding !== 'function') throw new Error('This Node.js has no way to handle real-time signals');
  const { Signal } = binding('signal_wrap') as { Signal: new () => SignalHandle };
  for (let number = 1; number <= LAST_SIGNAL; number += 1) {
    if (faults.includes(number)) continue;
    const handle = new Signal();
    handle.onsignal = handler;
    // SIGKILL, SIGSTOP and the two of libc's own refuse.
    handle.start(number);
  }
}
