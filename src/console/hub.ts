import type { Duplex } from 'node:stream';
import { ConsoleHistory, type HistoryLimits } from './history.ts';
import { ConsoleView, type ViewOptions } from './view.ts';

/** A terminal's window, in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** Somebody else types already. */
export class ConsoleBusyError extends Error {
  constructor() {
    super('Somebody else writes to the console');
    this.name = 'ConsoleBusyError';
  }
}

export interface HubOptions {
  readonly limits?: HistoryLimits;
  /** The other side waits while it is not read, and loses nothing by that: so it may be held back for slow readers. */
  readonly patient?: boolean;
  /** The window of whoever types, or of a reader where nobody does, has another size now. */
  onSize?(size: WindowSize): void;
}

/** A boot of Debian says 60 KiB. What a reader has not taken is kept longer than what all have seen. */
const defaultLimits: HistoryLimits = { history: 1024 * 1024, backlog: 8 * 1024 * 1024 };

/** How much input is kept for a guest that does not read, of writers who have lost the right to write meanwhile. */
const inputLimit = 1024 * 1024;

/** How far behind the slowest reader may be before a patient console is held back. */
const paceLimit = 1024 * 1024;
/** Milliseconds without any progress after which a reader counts as blocked: nobody is held back for it. */
const blockedTime = 1_000;

/**
 * A machine's console, kept: everything that the guest writes is read at once and the last part of it remembered, so that
 * any number of readers see it at their own pace, and come and go. Not reading would lose it: QEMU throws away what a
 * virtio console's other end does not take (hw/char/virtio-console.c; the guest's driver would hold a lock while it waits).
 * A serial port is patient: it is held back for a reader who is slow, though not for one who is blocked.
 * One of the readers at a time may write.
 */
export class ConsoleHub {
  readonly #console: Duplex;
  readonly #options: HubOptions;
  readonly #history: ConsoleHistory;
  readonly #views = new Set<ConsoleView>();
  #writer: ConsoleView | null = null;
  /** From whom the right to write was stolen and who are still there, the latest last. */
  #robbed: ConsoleView[] = [];
  /** Writers whose input the guest has not taken yet. */
  #waiting: (() => void)[] = [];
  #size: WindowSize | null = null;
  #over = false;
  #tellEnd: () => void = () => {};
  /** Settles when the guest's side is gone and all that it wrote has been read, or the console was destroyed. */
  readonly ended = new Promise<void>((resolve) => {
    this.#tellEnd = resolve;
  });
  #held: NodeJS.Timeout | undefined;
  /** Where a reader stands who takes nothing. */
  #blocked = -1;

  /** Takes `console` over. */
  constructor(console: Duplex, options: HubOptions = {}) {
    this.#console = console;
    this.#options = options;
    this.#history = new ConsoleHistory(options.limits ?? defaultLimits);
    const over = () => this.#onOver();
    console.on('data', (chunk: Buffer) => this.#onData(chunk));
    // Stays: a connection that is reset later on must not end the process.
    console.on('end', over).on('close', over).on('error', over);
    console.on('drain', () => this.#letWrite());
  }

  /** The guest's side is gone: nothing will be added. */
  get over(): boolean {
    return this.#over;
  }

  /** Everything that is remembered, oldest first. */
  get history(): Pick<ConsoleHistory, 'begin' | 'end' | 'at' | 'lineStart'> {
    return this.#history;
  }

  /** That of the last writer who told one; null before. */
  get size(): WindowSize | null {
    return this.#size;
  }

  /** How many read, and whether one of them writes. */
  get readers(): { readonly count: number; readonly writer: boolean } {
    return { count: this.#views.size, writer: this.#writer !== null };
  }

  /**
   * A way to read, and to write where `write` says so: `no`; `ask`, which throws ConsoleBusyError when somebody else
   * writes; `steal`, which takes it away from them (their view gets 'stolen' and reads on, and 'returned' when the thief
   * has gone). What a view without the right to write is given is thrown away; who has it waits for the guest to read.
   * The view ends with the console; destroying it leaves the console as it is.
   */
  open(options: ViewOptions): ConsoleView {
    const { write } = options;
    if (write === 'ask' && this.#writer !== null) throw new ConsoleBusyError();
    const view = new ConsoleView(
      {
        history: this.#history,
        over: () => this.#over,
        input: (from, chunk, done) => this.#input(from, chunk, done),
        setSize: (from, size) => this.#setSize(from, size),
        advanced: () => this.#onAdvance(),
        closed: (from) => this.#closed(from),
      },
      options,
    );
    this.#views.add(view);
    if (write !== 'no') {
      const before = this.#writer;
      this.#writer = view;
      if (before !== null) this.#robbed.push(before);
      before?.emit('stolen');
    }
    return view;
  }

  /** Whether that view is the one that may write. */
  isWriter(view: ConsoleView): boolean {
    return this.#writer === view;
  }

  /** Closes our end. What was read before stays readable. */
  destroy(): void {
    this.#console.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#history.add(chunk, this.#slowest());
    this.#wake();
    const slowest = this.#slowest();
    if (this.#options.patient && this.#history.end - slowest > paceLimit) this.#hold(slowest);
  }

  #wake(): void {
    for (const view of this.#views) view.wake();
  }

  /** Offset of what the last of the readers takes next. */
  #slowest(): number {
    let slowest = Infinity;
    for (const view of this.#views) slowest = Math.min(slowest, view.position);
    return slowest;
  }

  #hold(slowest: number): void {
    if (this.#blocked === slowest) {
      if (this.#held === undefined) this.#console.resume();
      return;
    }
    this.#console.pause();
    this.#held ??= setTimeout(() => {
      this.#held = undefined;
      const now = this.#slowest();
      if (now === slowest) {
        this.#blocked = now;
        this.#console.resume();
      } else this.#hold(now);
    }, blockedTime);
  }

  #onAdvance(): void {
    if (this.#held === undefined || this.#history.end - this.#slowest() > paceLimit / 2) return;
    clearTimeout(this.#held);
    this.#held = undefined;
    this.#console.resume();
  }

  #onOver(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#held);
    this.#wake();
    this.#letWrite();
    this.#tellEnd();
  }

  #input(view: ConsoleView, chunk: Uint8Array, done: () => void): void {
    const thrownAway =
      this.#writer !== view ||
      this.#over ||
      !this.#console.writable ||
      this.#console.writableLength + chunk.length > inputLimit;
    if (thrownAway || this.#console.write(chunk)) done();
    else this.#waiting.push(done);
  }

  #letWrite(): void {
    for (const done of this.#waiting.splice(0)) done();
  }

  #setSize(view: ConsoleView, size: WindowSize): void {
    if (this.#writer !== view && this.#writer !== null) return;
    this.#size = size;
    this.#options.onSize?.(size);
  }

  #closed(view: ConsoleView): void {
    this.#views.delete(view);
    this.#onAdvance();
    this.#robbed = this.#robbed.filter((other) => other !== view);
    if (this.#writer !== view) return;
    this.#writer = this.#robbed.pop() ?? null;
    if (this.#writer === null) return;
    if (this.#writer.size !== null) this.#setSize(this.#writer, this.#writer.size);
    this.#writer.emit('returned');
  }
}
