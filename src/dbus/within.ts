export interface Patience {
  /** Milliseconds; Infinity is allowed. */
  readonly timeout?: number | undefined;
  /** Gives up; what was asked for may still happen. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits for `promise` until the timeout, which rejects with what `late` makes, or the signal, which rejects with its
 * reason. Leaves no timer and no listener behind.
 */
export function within<T>(
  promise: Promise<T>,
  { timeout = Number.POSITIVE_INFINITY, signal }: Patience,
  late: () => Error = () => new Error('The time is up'),
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const settle = (action: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      action();
    };
    const aborted = () => settle(() => reject(signal?.reason));
    // More than setTimeout can count would fire at once.
    const milliseconds = Math.min(timeout, 2 ** 31 - 1);
    const timer = Number.isFinite(timeout)
      ? setTimeout(() => settle(() => reject(late())), milliseconds)
      : undefined;
    signal?.addEventListener('abort', aborted, { once: true });
    promise.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
    if (signal?.aborted) aborted();
  });
}
