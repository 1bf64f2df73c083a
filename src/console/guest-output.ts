import { EscapeParser } from './escape-parser.ts';
import type { EscapeSink, Sequence } from './escape-sequence.ts';
import { PrivateModes, resetFromAny } from './private-modes.ts';
import { ScrollRegion } from './scroll-region.ts';
import { type FilterMode, popTitles, TerminalFilter, undoAny } from './terminal-filter.ts';
import type { Reach } from './terminal-reach.ts';
import { Tint } from './tint.ts';

export interface GuestOutputOptions {
  /** Parameters of the SGR sequence that sets the background; null for no tint. */
  readonly tint: string | null;
  readonly mode: FilterMode;
  readonly allow: ReadonlySet<Reach>;
  /** See Look. */
  readonly dumb?: boolean;
}

/** What ends a string in the terminal without effect. */
const CAN = Buffer.of(0x18);
/** Most of what a chunk can become keeps its memory for the next one. */
const KEPT_SCRATCH = 256 * 1024;
/** Up to so many bytes a loop is faster than a call. */
const SHORT = 32;

/**
 * What a guest writes on its way to the user's terminal: tinted, without what reaches out of the window, and followed,
 * so that the terminal can be put back in the end. One pass does all of it, with the same result for any chunk
 * boundaries. Holds back an incomplete sequence (STRING_LIMIT bytes at most) until the rest of it comes.
 */
export class GuestOutput implements EscapeSink {
  readonly #parser = new EscapeParser();
  readonly #filter: TerminalFilter;
  readonly #allow: ReadonlySet<Reach>;
  readonly #tint: Tint | null;
  readonly #modes = new PrivateModes();
  readonly #region = new ScrollRegion();
  /** Before this place all of the chunk is in `#scratch` or removed. Nothing is, as long as `#changed` is false. */
  #done = 0;
  #changed = false;
  #untouched: boolean;
  #scratch: Buffer = Buffer.allocUnsafe(0);
  #length = 0;

  constructor({ tint, mode, allow, dumb = false }: GuestOutputOptions) {
    this.#untouched = dumb;
    this.#filter = new TerminalFilter({ mode, allow });
    this.#allow = allow;
    this.#tint = tint === null ? null : new Tint(tint);
  }

  /** What to write before anything of the guest. */
  start(): string {
    return this.#tint?.start() ?? '';
  }

  /** What to write in place of the chunk: the chunk itself where nothing changes. It must not change later. */
  push(chunk: Buffer): Buffer {
    this.#done = 0;
    this.#length = 0;
    this.#changed = false;
    const parsed = this.#parser.parse(chunk, this);
    if (!this.#changed) return parsed;
    this.#copy(parsed, this.#done, parsed.length);
    const result = Buffer.allocUnsafeSlow(this.#length);
    result.set(this.#scratch.subarray(0, this.#length));
    if (this.#scratch.length > KEPT_SCRATCH) this.#scratch = Buffer.allocUnsafe(0);
    return result;
  }

  /** How many sequences have gone to the terminal so far that it may answer. */
  get questions(): number {
    return this.#filter.questions;
  }

  /** How many titles the guest has pushed in the terminal. */
  get titles(): number {
    return this.#filter.titles;
  }

  /** Nothing but text has gone to a dumb terminal so far, which is sent nothing in the end then. */
  get untouched(): boolean {
    return this.#untouched;
  }

  /** The guest shows its alternate screen. */
  get alternate(): boolean {
    return this.#filter.alternate;
  }

  /** Who is there changes: when all of before was shown, and when nobody is left who would take the terminal's answers. */
  set mode(mode: FilterMode) {
    this.#filter.mode = mode;
  }

  /** What ends the reports of mouse, focus and more that the guest has switched on; empty for none. */
  stopReports(): string {
    return this.#modes.stopReports();
  }

  /** What to write after all: the terminal is at rest again, and the rest of the screen in its own background. */
  end(): string {
    if (this.#untouched) return '';
    // CAN first: it ends a sequence or string that the guest has left unfinished.
    return `\x18${this.#filter.undoScreen()}${this.#modes.reset()}${this.#filter.undo()}${this.#tint?.end() ?? ''}`;
  }

  /**
   * What to write in place of `end` where some of what the guest wrote last may not have reached the terminal: undoes
   * whatever a guest can have done, and pops the titles that are pushed now, but for those that have not reached it for sure.
   */
  endOfAny(lostTitles = 0): string {
    if (this.#untouched) return '';
    const titles = popTitles(Math.max(0, this.#filter.titles - lostTitles));
    return `\x18${afterAny(this.#allow)}${titles}${this.#tint?.end() ?? ''}`;
  }

  /** What to write after `end` when the guest is shown once more, in so many rows; of what stood there nothing comes back. */
  again(rows: number): string {
    const normal = `${this.#filter.again()}${this.#modes.screenAgain()}${this.#region.again(rows)}`;
    return `${normal}${this.#modes.again()}${this.#filter.againScreen()}${this.start()}`;
  }

  /** The window has another size. */
  resized(): void {
    this.#region.reset();
  }

  sequence(sequence: Sequence): void {
    const verdict = this.#filter.judge(sequence);
    if (verdict === 'drop') {
      this.remove(sequence.chunkStart, sequence.chunkEnd);
      return;
    }
    this.#untouched = false;
    if (verdict !== 'pass') this.#replace(sequence, verdict, 0, verdict.length);
    else if (sequence.data !== this.#parser.chunk) this.#pass(sequence);
    if (sequence.kind !== 'csi' && sequence.kind !== 'escape') return;
    if (sequence.kind === 'escape' || sequence.prefix !== 0 || sequence.intermediates !== 0) {
      if (verdict === 'pass') this.#modes.see(sequence);
      else this.#modes.push(verdict);
      this.#region.see(sequence);
    } else if (sequence.final === 0x72) this.#region.see(sequence);
    const follow = this.#tint?.after(sequence) ?? null;
    if (follow !== null) this.#insert(sequence.chunkEnd, follow);
  }

  overflow(sequence: Sequence): boolean {
    if (!this.#filter.judgeLong(sequence)) return false;
    this.#untouched = false;
    if (sequence.data !== this.#parser.chunk) this.#pass(sequence);
    return true;
  }

  broken(at: number): void {
    this.#insert(at, CAN);
  }

  remove(start: number, end: number): void {
    if (start === end) return;
    this.#flush(start);
    this.#done = end;
  }

  #pass(sequence: Sequence): void {
    this.#replace(sequence, sequence.data, sequence.start, sequence.end);
  }

  #replace({ chunkStart, chunkEnd }: Sequence, data: Buffer, start: number, end: number): void {
    this.#flush(chunkStart);
    this.#copy(data, start, end);
    this.#done = chunkEnd;
  }

  #insert(at: number, data: Buffer): void {
    this.#flush(at);
    this.#copy(data, 0, data.length);
  }

  /** Lets all of the chunk that is before `end` go by as it is. */
  #flush(end: number): void {
    this.#changed = true;
    this.#copy(this.#parser.chunk, this.#done, end);
    this.#done = end;
  }

  #copy(source: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length <= 0) return;
    const needed = this.#length + length;
    if (needed > this.#scratch.length) this.#grow(needed);
    const target = this.#scratch;
    let to = this.#length;
    if (length > SHORT) source.copy(target, to, start, end);
    else for (let from = start; from < end; from += 1) target[to++] = source[from] as number;
    this.#length = needed;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * needed, 4096));
    larger.set(this.#scratch.subarray(0, this.#length));
    this.#scratch = larger;
  }
}

/** What brings a terminal to rest of which nothing is known but what a guest may do to it. */
export function afterAny(allow: ReadonlySet<Reach>): string {
  const keyboard = undoAny(allow);
  return `${keyboard}${resetFromAny()}${keyboard}`;
}
