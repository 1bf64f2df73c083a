import { Duplex } from 'node:stream';
import type { ConsoleHistory } from './history.ts';
import type { WindowSize } from './hub.ts';

export interface ViewOptions {
  readonly write: 'no' | 'ask' | 'steal';
  /** Where reading begins: at the first byte that is remembered, at most so many bytes before now, or now. */
  readonly from: 'begin' | 'now' | { readonly last: number };
  /** What the reader is told, in its stream, in place of bytes that were dropped before it took them. */
  readonly lost?: (bytes: number) => string;
}

/** What a reader is shown in place of bytes that it was too slow for. */
export function lostText(bytes: number): string {
  return `\r\n[${bytes} bytes of the console were lost here]\r\n`;
}

/** What a view needs of the console that it shows. */
export interface Viewed {
  readonly history: ConsoleHistory;
  /** The guest's side is gone: nothing will be added. */
  over(): boolean;
  /** `done` is called when the guest may be given more. */
  input(view: ConsoleView, chunk: Uint8Array, done: () => void): void;
  setSize(view: ConsoleView, size: WindowSize): void;
  /** Something was taken. */
  advanced(): void;
  closed(view: ConsoleView): void;
}

/**
 * One reader's way to a console, an ordinary duplex stream. Emits 'stolen' when somebody else has taken the right to
 * write, 'returned' when they have left it, and 'lost' with a number of bytes when that many were dropped before they were taken.
 */
export class ConsoleView extends Duplex {
  readonly #viewed: Viewed;
  readonly #lost: ViewOptions['lost'];
  #position: number;
  #size: WindowSize | null = null;
  #wanted = false;
  #ended = false;

  constructor(viewed: Viewed, { from, lost }: ViewOptions) {
    super({ allowHalfOpen: true, readableHighWaterMark: 64 * 1024 });
    this.#viewed = viewed;
    this.#lost = lost;
    const { begin, end } = viewed.history;
    if (from === 'begin') this.#position = begin;
    else if (from === 'now') this.#position = end;
    else {
      const offset = Math.max(begin, end - from.last);
      this.#position = offset === begin ? begin : viewed.history.lineStart(offset);
    }
  }

  /** Offset of the next byte that it takes. */
  get position(): number {
    return this.#position;
  }

  /** Of the window in which this is shown, as told last. */
  get size(): WindowSize | null {
    return this.#size;
  }

  /** The window in which this is shown has this size; counts only for whoever writes, unless nobody does. */
  setSize(size: WindowSize): void {
    this.#size = size;
    this.#viewed.setSize(this, size);
  }

  /** There may be something new. */
  wake(): void {
    if (!this.#wanted || this.#ended) return;
    const before = this.#position;
    this.#take();
    if (this.#position > before) this.#viewed.advanced();
  }

  #take(): void {
    const { history } = this.#viewed;
    for (;;) {
      if (this.#position < history.begin) this.#skip();
      const chunk = history.at(this.#position);
      if (chunk === null) break;
      this.#position += chunk.length;
      if (!this.push(chunk)) {
        this.#wanted = false;
        return;
      }
    }
    if (!this.#viewed.over()) return;
    this.#ended = true;
    this.push(null);
  }

  #skip(): void {
    const { history } = this.#viewed;
    const next = history.lineStart(history.begin);
    const count = next - this.#position;
    this.#position = next;
    this.emit('lost', count);
    const text = this.#lost?.(count) ?? '';
    if (text !== '') this.push(Buffer.from(text));
  }

  override _read(): void {
    this.#wanted = true;
    this.wake();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#viewed.input(this, chunk, callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#ended = true;
    this.#viewed.closed(this);
    callback(error);
  }
}
