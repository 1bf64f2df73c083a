import { terminalSize } from '../sys/stdio.ts';
import type { WindowSize } from './hub.ts';

/** Milliseconds that the guest has to see a size that is not that of the window. */
const OTHER_SIZE = 200;

export interface WindowEvents {
  /** The guest is to know this size. */
  onSize(size: WindowSize): void;
  /** The window has another size than before. */
  onChange(): void;
}

/** The terminal's window in which a guest is shown: tells its size when it changes (SIGWINCH), until disposal. */
export class ShownWindow implements Disposable {
  readonly #terminal: number;
  readonly #events: WindowEvents;
  readonly #onSignal = () => this.tell();
  #size: WindowSize | null;
  #waiting: NodeJS.Timeout | undefined;

  constructor(terminal: number, events: WindowEvents) {
    this.#terminal = terminal;
    this.#events = events;
    this.#size = terminalSize(terminal);
    process.on('SIGWINCH', this.#onSignal);
  }

  /** Infinity where nobody knows. */
  get rows(): number {
    return this.#size?.rows ?? Infinity;
  }

  /** Looks at the size again, which nobody tells a stopped job. */
  look(): void {
    const [before, now] = [this.#size, terminalSize(this.#terminal)];
    if (now === null) return;
    this.#size = now;
    if (before !== null && (before.rows !== now.rows || before.columns !== now.columns))
      this.#events.onChange();
  }

  /** Tells the guest the size. */
  tell(): void {
    clearTimeout(this.#waiting);
    this.look();
    if (this.#size !== null) this.#events.onSize(this.#size);
  }

  /** Tells the guest another size before, at which what has the whole screen draws it once more. */
  redraw(): void {
    this.look();
    const size = this.#size;
    if (size !== null) this.#events.onSize({ ...size, rows: size.rows === 1 ? 2 : size.rows - 1 });
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(this.#onSignal, OTHER_SIZE);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#waiting);
    process.off('SIGWINCH', this.#onSignal);
  }
}
