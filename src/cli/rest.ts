import { trimMemory } from '../sys/madvise.ts';

/** Milliseconds between two looks, and the processor time in one of them up to which we are at rest (microseconds). */
const interval = 3_000;
const restingTime = 3_000;

/**
 * Gives the pages of Node's own binary back whenever nothing has happened for a while: of the 40 MB of an idle
 * supervisor 25 are such pages. Once after each busy time, not again and again.
 */
export function trimMemoryAtRest(): Disposable {
  let trimmed = false;
  let last = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last);
    last = process.cpuUsage();
    if (user + system > restingTime) trimmed = false;
    else if (!trimmed) {
      trimMemory();
      trimmed = true;
      last = process.cpuUsage();
    }
  }, interval);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
