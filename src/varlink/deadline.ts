/** A timer that is started and stopped as often as one likes; calls `late` when it ran for `timeout` milliseconds. */
export class Deadline {
  readonly #timeout: number;
  readonly #late: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(timeout: number, late: () => void) {
    this.#timeout = timeout;
    this.#late = late;
  }

  /** Runs on when it runs already. */
  start(): void {
    if (this.#timeout !== Infinity)
      this.#timer ??= setTimeout(this.#late, Math.min(this.#timeout, 2 ** 31 - 1));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
