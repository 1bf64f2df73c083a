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

  /** Writes what fits at once, past the queue: for last words on the way out. */
  writeNow(text: string): void {
    if (!this.#failed) this.#endpoint.write(Buffer.from(text));
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
        const taken = this.#endpoint.write(chunk);
        if (taken === null) return;
        this.#written += taken;
        if (taken < chunk.length) this.#queue[0] = chunk.subarray(taken);
        else this.#queue.shift();
      }
    } catch (error) {
      this.#failed = true;
      this.#queue = [];
      this.#endpoint.readiness.stop();
      this.#events.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }

  [Symbol.dispose](): void {
    this.#failed = true;
    this.#queue = [];
    this.#endpoint[Symbol.dispose]();
  }
}
