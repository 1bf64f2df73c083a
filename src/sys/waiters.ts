/**
 * Promises that also end with a deadline, a signal, or all together when what they wait for is lost. None leaves a
 * timer or a listener behind.
 */
export class Waiters {
  readonly #waiting = new Set<(error: Error) => void>();

  /**
   * Runs `start` with the two ways to settle the promise. `late` makes the error for the end of `timeout`
   * (milliseconds, or Infinity); an aborted signal rejects with its reason, and so does what `start` throws.
   */
  wait<T>(
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
    { signal, timeout }: { signal: AbortSignal | undefined; timeout: number },
    late: () => Error,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const settle = (action: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
        this.#waiting.delete(lost);
        action();
      };
      const aborted = () => settle(() => reject(signal?.reason));
      const lost = (error: Error) => settle(() => reject(error));
      // More than setTimeout can count would fire at once.
      const timer =
        timeout === Infinity
          ? undefined
          : setTimeout(() => settle(() => reject(late())), Math.min(timeout, 2 ** 31 - 1));
      signal?.addEventListener('abort', aborted, { once: true });
      this.#waiting.add(lost);
      try {
        start(
          (value) => settle(() => resolve(value)),
          (error) => settle(() => reject(error)),
        );
      } catch (error) {
        settle(() => reject(error));
      }
    });
  }

  /** Rejects every promise that waits, with the same error. */
  fail(error: Error): void {
    for (const lost of [...this.#waiting]) lost(error);
  }
}
