import { type OutputEndpoint, openOutput } from './endpoint.ts';

export interface ConsoleOutputEvents {
  /** Everything that was written is out. */
  onDrain(): void;
  /** Nothing can be written any more: OutputClosedError or a failed system call (ENOSPC). Called once. */
  onFailure(error: Error): void;
}

/**
 * Writes to the user's standard output in order and completely, at once where that is possible, and otherwise as it
 * becomes possible, without ever waiting in a system call. Holds what it could not write yet: whoever writes on although
 * write() said false makes it grow.
 */
export class ConsoleOutput implements Disposable {
  readonly #endpoint: OutputEndpoint;
  readonly #events: ConsoleOutputEvents;
  #queue: Uint8Array[] = [];
  /** Bytes of the first in the queue that are out. */
  #sent = 0;
  #failed = false;
  #written = 0;

  /** Throws OutputClosedError. */
  constructor(fd: number, events: ConsoleOutputEvents) {
    this.#events = events;
    this.#endpoint = openOutput(fd, () => this.#flush());
  }

  get isTerminal(): boolean {
    return this.#endpoint.kind === 'terminal';
  }

  /** Nothing is waiting to be written. */
  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** Bytes that are out. */
  get written(): number {
    return this.#written;
  }

  /** False when the rest of the chunk has to wait: onDrain tells when to go on. After a failure all is thrown away. */
  write(chunk: Uint8Array): boolean {
    if (this.#failed) return true;
    this.#queue.push(chunk);
    if (this.#queue.length === 1) this.#advance();
    if (this.#queue.length > 0) this.#endpoint.readiness.start();
    return this.idle;
  }

  /** Waits until all is out, for so many milliseconds at most, and for nothing else meanwhile: for the way out. True when it is. */
  flushNow(within: number): boolean {
    const deadline = performance.now() + within;
    for (;;) {
      this.#advance();
      const left = deadline - performance.now();
      if (this.idle || left <= 0) return this.idle;
      this.#endpoint.wait(left);
    }
  }

  /** Throws away what waits, and gives it: of `bytes` those from `sent` on. The rest of them is the beginning of a chunk. */
  drop(): { readonly bytes: Buffer; readonly sent: number } {
    const dropped = { bytes: Buffer.concat(this.#queue), sent: this.#sent };
    this.#clear();
    return dropped;
  }

  #clear(): void {
    this.#queue = [];
    this.#sent = 0;
  }

  #flush(): void {
    this.#advance();
    if (this.#queue.length > 0 || this.#failed) return;
    this.#endpoint.readiness.stop();
    this.#events.onDrain();
  }

  #advance(): void {
    try {
      for (let chunk = this.#queue[0]; chunk !== undefined; chunk = this.#queue[0]) {
        const taken = this.#endpoint.write(this.#sent === 0 ? chunk : chunk.subarray(this.#sent));
        if (taken === null) return;
        this.#written += taken;
        this.#sent += taken;
        if (this.#sent < chunk.length) continue;
        this.#queue.shift();
        this.#sent = 0;
      }
    } catch (error) {
      this.#failed = true;
      this.#clear();
      this.#endpoint.readiness.stop();
      this.#events.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }

  [Symbol.dispose](): void {
    this.#failed = true;
    this.#clear();
    this.#endpoint[Symbol.dispose]();
  }
}
