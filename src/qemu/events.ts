import type { QmpEvent } from './messages.ts';

/** Events of one connection as an async sequence. Ends when the connection does, or when it is disposed of. */
export interface EventStream extends AsyncIterableIterator<QmpEvent>, Disposable {
  /** Events that were thrown away because nobody took them in time; the oldest go first. */
  readonly lost: number;
}

/** A queue that keeps the newest `limit` events. */
export class EventQueue implements EventStream {
  readonly #limit: number;
  readonly #release: (queue: EventQueue) => void;
  #events: QmpEvent[] = [];
  /** Index of the oldest event; cheaper than shifting the array under a storm. */
  #first = 0;
  #waiting: ((result: IteratorResult<QmpEvent, undefined>) => void)[] = [];
  #ended = false;
  #lost = 0;

  constructor(limit: number, release: (queue: EventQueue) => void) {
    this.#limit = limit;
    this.#release = release;
  }

  get lost(): number {
    return this.#lost;
  }

  push(event: QmpEvent): void {
    if (this.#ended) return;
    const taker = this.#waiting.shift();
    if (taker !== undefined) {
      taker({ value: event, done: false });
      return;
    }
    this.#events.push(event);
    if (this.#events.length - this.#first > this.#limit) {
      this.#first += 1;
      this.#lost += 1;
      if (this.#first >= this.#limit) this.#compact();
    }
  }

  /** No more events come; those that are queued can still be taken. */
  end(): void {
    this.#ended = true;
    for (const taker of this.#waiting.splice(0)) taker({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<QmpEvent, undefined>> {
    const event = this.#events[this.#first];
    if (event !== undefined) {
      this.#first += 1;
      if (this.#first === this.#events.length || this.#first >= 1024) this.#compact();
      return Promise.resolve({ value: event, done: false });
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<QmpEvent, undefined>> {
    this[Symbol.dispose]();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.#events = [];
    this.#first = 0;
    this.end();
    this.#release(this);
  }

  #compact(): void {
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }
}
