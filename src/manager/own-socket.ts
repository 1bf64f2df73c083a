import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds that a daemon gets from its start to its socket. */
const socketTimeout = 30_000;

/** Milliseconds between two looks. */
const interval = 5;

/**
 * Waits until a daemon has made the socket `path`. Throws an Error for one that ends before (`ended` and `lastWords` tell how),
 * or takes too long; the signal's reason.
 */
export async function ownSocket(
  path: string,
  ended: Promise<string>,
  lastWords: () => Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  let end: string | null = null;
  void ended.then((how) => {
    end = how;
  });
  const deadline = performance.now() + socketTimeout;
  // Nobody connects to try it: the first connection is QEMU's.
  while (!statSync(path, { throwIfNoEntry: false })?.isSocket()) {
    if (end !== null) {
      const words = (await lastWords()).trim();
      throw new Error(`it ended with ${end}${words === '' ? '' : `: ${words}`}`);
    }
    if (performance.now() > deadline) {
      throw new Error(`it has not made its socket ${path} within ${socketTimeout / 1000} s`);
    }
    await sleep(interval, undefined, { signal });
  }
}
