import {
  type EscapeSink,
  SEQUENCE_LIMIT,
  type Sequence,
  type SequenceKind,
  STRING_LIMIT,
} from './escape-sequence.ts';
import { BEL, C1_LEAD, CAN, DEL, ENQ, ESC, SUB, stringStops, TextStops } from './text-stops.ts';

const BACKSLASH = 0x5c;
/** Hexadecimal digits of a colour after `ESC ] P` (console_codes(4)). */
const PALETTE_DIGITS = 7;

type State =
  | 'ground'
  | 'escape'
  | 'csi'
  | 'csi-ignore'
  | 'osc-entry'
  | 'palette'
  | 'string'
  | 'string-escape'
  | 'long'
  | 'long-escape';

const strings = new Map<number, SequenceKind>([
  [0x50, 'dcs'],
  [0x58, 'sos'],
  [0x5d, 'osc'],
  [0x5e, 'pm'],
  [0x5f, 'apc'],
  [0x6b, 'title'],
]);

/**
 * Finds escape sequences as terminals in UTF-8 mode do: the states of ECMA-48 and the VT500 series (vt100.net,
 * "A parser for DEC's ANSI-compatible video terminals"), with C1 controls as UTF-8 and BEL as a terminator of OSC. Single
 * bytes above 0x7f are text. Works over any chunk boundaries with the same result and holds SEQUENCE_LIMIT or
 * STRING_LIMIT bytes at most. Where terminals differ (a letter of another script within a sequence, a string broken
 * off by another sequence) the sequence is removed, so that none of them sees it.
 */
export class EscapeParser implements Sequence {
  kind: SequenceKind = 'escape';
  data: Buffer;
  start = 0;
  end = 0;
  final = 0;
  prefix = 0;
  intermediates = 0;
  bodyStart = 0;
  bodyEnd = 0;
  chunkStart = 0;
  chunkEnd = 0;

  #state: State = 'ground';
  /** Beginning of the current sequence where it does not stand in one piece in the chunk. */
  readonly #held = Buffer.allocUnsafe(STRING_LIMIT + 2);
  #heldLength = 0;
  /** What is being parsed, and what all offsets refer to: nearly always the buffer that parse() was given. */
  chunk: Buffer = this.#held;
  /** Where the current sequence, or what is not held of it, begins in the chunk. */
  #from = 0;
  #digits = 0;
  /** Whether the string in the state `long` goes to the terminal. */
  #passes = false;
  /** The last byte of the last chunk was C1_LEAD. */
  #lead = false;
  readonly #stops = new TextStops();

  constructor() {
    this.data = this.#held;
  }

  /** Takes the next bytes; gives back `chunk`. */
  parse(input: Buffer, sink: EscapeSink): Buffer {
    if (input.length === 0) {
      this.chunk = input;
      return input;
    }
    const chunk = this.#lead ? Buffer.concat([Buffer.of(C1_LEAD), input]) : input;
    this.#lead = false;
    this.chunk = chunk;
    this.#from = 0;
    this.#stops.start(chunk);
    const length = chunk.length;
    let position = 0;
    while (position < length) position = this.#step(position, length, sink);
    this.#suspend(this.#lead ? length - 1 : length, sink);
    if (this.#lead) sink.remove(length - 1, length);
    return chunk;
  }

  /** Goes on from `position` for as long as the state stays the same, more or less; gives the next position. */
  #step(position: number, length: number, sink: EscapeSink): number {
    switch (this.#state) {
      case 'ground':
        return this.#ground(position, length, sink);
      case 'escape':
        return this.#escape(position, sink);
      case 'csi':
        return this.#csi(position, length, sink);
      case 'csi-ignore':
        return this.#csiIgnore(position, sink);
      case 'osc-entry':
      case 'palette':
        return this.#palette(position, length, sink);
      case 'string':
        return this.#string(position, length, sink);
      case 'string-escape':
        return this.#stringEscape(position, sink);
      case 'long':
        return this.#long(position, length, sink);
      case 'long-escape':
        return this.#longEscape(position, sink);
    }
  }

  #ground(from: number, length: number, sink: EscapeSink): number {
    const chunk = this.chunk;
    let position = this.#stops.next(from);
    for (;;) {
      if (position === length) return length;
      if (chunk[position] !== ESC) break;
      const end = this.#wholeCsi(position, length);
      if (end === 0) return this.#enterEscape(position);
      sink.sequence(this);
      position = this.#stops.next(end);
    }
    this.#from = position;
    return chunk[position] === ENQ ? this.#removeByte(position, sink) : this.#maybeC1(position, length, sink);
  }

  /**
   * The end of the CSI sequence that begins here, if it is one of the usual form and complete, else 0. Nothing that the
   * states would not find as well; this is for speed.
   */
  #wholeCsi(start: number, length: number): number {
    const chunk = this.chunk;
    const stop = Math.min(length, start + SEQUENCE_LIMIT);
    let position = start + 2;
    if (position >= stop || chunk[start + 1] !== 0x5b) return 0;
    let byte = chunk[position] as number;
    const prefix = byte >= 0x3c && byte <= 0x3f ? byte : 0;
    if (prefix !== 0) position += 1;
    const bodyStart = position;
    for (; position < stop; position += 1) {
      byte = chunk[position] as number;
      if (byte < 0x30 || byte > 0x3b) break;
    }
    if (position === stop || byte < 0x40 || byte > 0x7e) return 0;
    this.kind = 'csi';
    this.data = chunk;
    this.start = this.chunkStart = start;
    this.end = this.chunkEnd = position + 1;
    this.prefix = prefix;
    this.intermediates = 0;
    this.final = byte;
    this.bodyStart = bodyStart;
    this.bodyEnd = position;
    return position + 1;
  }

  #enterEscape(position: number): number {
    this.#state = 'escape';
    this.#from = position;
    this.#heldLength = 0;
    this.#clear();
    return position + 1;
  }

  /** Whether ESC and this byte begin a CSI sequence or a string. */
  #introduce(byte: number): boolean {
    if (byte === 0x5b) {
      this.#state = 'csi';
      this.kind = 'csi';
      return true;
    }
    const string = strings.get(byte);
    if (string === undefined) return false;
    this.#state = string === 'osc' ? 'osc-entry' : 'string';
    this.kind = string;
    return true;
  }

  #clear(): void {
    this.kind = 'escape';
    this.prefix = 0;
    this.intermediates = 0;
    this.final = 0;
  }

  /** ESC and perhaps intermediates have been read. */
  #escape(position: number, sink: EscapeSink): number {
    const byte = this.chunk[position] as number;
    if (byte >= 0x30 && byte <= 0x7e) {
      if (this.intermediates === 0 && this.#introduce(byte)) return position + 1;
      return this.#finish(byte, position + 1, sink);
    }
    if (byte >= 0x20 && byte <= 0x2f) {
      if (this.intermediates > 0xff) return this.#abandon(position, sink);
      this.intermediates = (this.intermediates << 8) | byte;
      return position + 1;
    }
    return this.#interrupt(position, sink);
  }

  #csi(from: number, length: number, sink: EscapeSink): number {
    const chunk = this.chunk;
    let position = from;
    let byte = chunk[position] as number;
    if (this.intermediates === 0) {
      while (byte >= 0x30 && byte <= 0x3b) {
        position += 1;
        if (position === length) return position;
        byte = chunk[position] as number;
      }
    }
    if (byte >= 0x40 && byte <= 0x7e) return this.#finish(byte, position + 1, sink);
    if (byte >= 0x3c && byte <= 0x3f && this.#sizeAt(position) === 2) {
      this.prefix = byte;
      return position + 1;
    }
    if (byte >= 0x20 && byte <= 0x2f && this.intermediates <= 0xff) {
      this.intermediates = (this.intermediates << 8) | byte;
      return position + 1;
    }
    if (byte >= 0x20 && byte <= 0x3f) {
      this.#state = 'csi-ignore';
      return position + 1;
    }
    return this.#interrupt(position, sink);
  }

  #csiIgnore(position: number, sink: EscapeSink): number {
    const byte = this.chunk[position] as number;
    if (byte >= 0x40 && byte <= 0x7e) return this.#abandon(position + 1, sink);
    if (byte >= 0x20 && byte <= 0x3f) return position + 1;
    return this.#interrupt(position, sink);
  }

  /** What is neither parameter, intermediate nor final byte, within an ESC or CSI sequence. */
  #interrupt(position: number, sink: EscapeSink): number {
    const byte = this.chunk[position] as number;
    if (byte === ESC) {
      this.#abandon(position, sink);
      return this.#enterEscape(position);
    }
    if (byte === CAN || byte === SUB || byte > DEL) return this.#abandon(position, sink);
    this.#cutOut(position, sink);
    if (byte === ENQ || byte === DEL) sink.remove(position, position + 1);
    return position + 1;
  }

  /** Holds what was read of the sequence so far and lets it go on behind the byte at `position`. */
  #cutOut(position: number, sink: EscapeSink): void {
    this.#hold(position);
    sink.remove(this.#from, position);
    this.#from = position + 1;
  }

  /** No sequence after all: removes all of it before `position`. */
  #abandon(position: number, sink: EscapeSink): number {
    sink.remove(this.#from, position);
    this.#heldLength = 0;
    this.#state = 'ground';
    return position;
  }

  /** An ESC or CSI sequence is complete. */
  #finish(final: number, end: number, sink: EscapeSink): number {
    if (this.#sizeAt(end) > SEQUENCE_LIMIT) return this.#abandon(end, sink);
    this.final = final;
    this.#report(end);
    this.bodyStart = this.start + (this.prefix === 0 ? 2 : 3);
    this.bodyEnd = this.end - 1 - (this.intermediates === 0 ? 0 : this.intermediates > 0xff ? 2 : 1);
    this.#state = 'ground';
    this.#heldLength = 0;
    sink.sequence(this);
    return end;
  }

  /** Makes the sequence that ends before `end` visible. */
  #report(end: number): void {
    this.chunkStart = this.#from;
    this.chunkEnd = end;
    if (this.#heldLength === 0) {
      this.data = this.chunk;
      this.start = this.#from;
      this.end = end;
    } else {
      this.#hold(end);
      this.data = this.#held;
      this.start = 0;
      this.end = this.#heldLength;
    }
  }

  /** `ESC ]` has been read: the Linux console's `P` with seven digits and `R` have no terminator. */
  #palette(position: number, length: number, sink: EscapeSink): number {
    const byte = this.chunk[position] as number;
    if (this.#state === 'osc-entry') {
      if (byte === 0x52) return this.#abandon(position + 1, sink);
      this.#state = byte === 0x50 ? 'palette' : 'string';
      this.#digits = 0;
      return byte === 0x50 ? position + 1 : this.#string(position, length, sink);
    }
    const digit =
      (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
    if (!digit) return this.#abandon(position, sink);
    this.#digits += 1;
    return this.#digits === PALETTE_DIGITS ? this.#abandon(position + 1, sink) : position + 1;
  }

  #string(from: number, length: number, sink: EscapeSink): number {
    const chunk = this.chunk;
    const stop = Math.min(length, from + STRING_LIMIT - this.#sizeAt(from));
    let position = from;
    while (position < stop && stringStops[chunk[position] as number] === 0) position += 1;
    if (position === stop) {
      if (this.#sizeAt(position) >= STRING_LIMIT) this.#overflow(position, sink);
      return position;
    }
    const byte = chunk[position] as number;
    if (byte === ESC) {
      this.#state = 'string-escape';
      return position + 1;
    }
    if (byte === BEL) {
      if (this.kind === 'osc') this.#finishString(position + 1, 1, sink);
      return position + 1;
    }
    if (byte === CAN || byte === SUB) return this.#abandon(position, sink);
    if (byte === ENQ) return this.#removeByte(position, sink);
    if (position + 1 < length && chunk[position + 1] === 0x9c) return this.#finishByC1(position, sink);
    return this.#maybeC1(position, length, sink);
  }

  #stringEscape(position: number, sink: EscapeSink): number {
    if (this.chunk[position] === BACKSLASH) {
      this.#finishString(position + 1, 2, sink);
      return position + 1;
    }
    // A sequence of its own begins with the ESC, which may have been the last byte of the last chunk.
    const previous = position - 1;
    if (previous >= this.#from) {
      this.#abandon(previous, sink);
      this.#enterEscape(previous);
    } else this.#restartEscape(position);
    return position;
  }

  /** ST as U+009C becomes `ESC \\`, so that a terminal without C1 controls sees the end as well. */
  #finishByC1(position: number, sink: EscapeSink): number {
    this.#hold(position);
    this.#held[this.#heldLength] = ESC;
    this.#held[this.#heldLength + 1] = BACKSLASH;
    this.#heldLength += 2;
    sink.remove(this.#from, position + 2);
    this.#from = position + 2;
    this.#finishString(position + 2, 2, sink);
    return position + 2;
  }

  #finishString(end: number, terminator: number, sink: EscapeSink): void {
    this.#report(end);
    this.bodyStart = this.start + 2;
    this.bodyEnd = this.end - terminator;
    this.#state = 'ground';
    this.#heldLength = 0;
    sink.sequence(this);
  }

  #overflow(end: number, sink: EscapeSink): void {
    this.#report(end);
    this.bodyStart = this.start + 2;
    this.bodyEnd = this.end;
    this.#state = 'long';
    this.#heldLength = 0;
    this.#passes = sink.overflow(this);
    if (!this.#passes) sink.remove(this.#from, end);
    this.#from = end;
  }

  #long(from: number, length: number, sink: EscapeSink): number {
    const chunk = this.chunk;
    let position = from;
    while (position < length && stringStops[chunk[position] as number] === 0) position += 1;
    if (position === length) return length;
    const byte = chunk[position] as number;
    if (byte === ESC) {
      this.#state = 'long-escape';
      this.#skip(position, sink);
      return position + 1;
    }
    if (byte === ENQ) return this.#removeByte(position, sink);
    if (byte === BEL) return this.kind === 'osc' ? this.#endLong(position + 1, sink) : position + 1;
    // These end the string in the terminal as well.
    if (byte === CAN || byte === SUB) return this.#endLong(position, sink);
    return this.#maybeC1(position, length, sink);
  }

  /** Removes the bytes of a long string before `position` unless they are for the terminal. */
  #skip(position: number, sink: EscapeSink): void {
    if (!this.#passes) sink.remove(this.#from, position);
    this.#from = position;
  }

  #endLong(position: number, sink: EscapeSink): number {
    this.#skip(position, sink);
    this.#state = 'ground';
    return position;
  }

  #longEscape(position: number, sink: EscapeSink): number {
    const previous = position - 1;
    const ends = this.chunk[position] === BACKSLASH;
    if (ends && !this.#passes) return this.#endLong(position + 1, sink);
    // The ST that ends what goes to the terminal is reported like any other escape sequence.
    if (!ends && this.#passes) sink.broken(Math.max(previous, 0));
    if (previous >= 0) this.#enterEscape(previous);
    else this.#restartEscape(position);
    return position;
  }

  /** A sequence whose ESC was the last byte of the last chunk, or in another form: it is held. */
  #restartEscape(from: number): void {
    this.#enterEscape(from);
    this.#held[0] = ESC;
    this.#heldLength = 1;
  }

  /** Removes a byte that is not for the terminal from text or a string. */
  #removeByte(position: number, sink: EscapeSink): number {
    if (this.#state === 'string') {
      this.#cutOut(position, sink);
      // The next byte is the first one now: `R` there means something of its own.
      if (this.kind === 'osc' && this.#heldLength === 2) this.#state = 'osc-entry';
    } else if (this.#state === 'long') this.#skip(position, sink);
    sink.remove(position, position + 1);
    this.#from = position + 1;
    return position + 1;
  }

  /** At C1_LEAD: begins what a C1 control begins, which ends all else; other characters are text. */
  #maybeC1(position: number, length: number, sink: EscapeSink): number {
    if (position + 1 === length) {
      this.#lead = true;
      return length;
    }
    const code = this.chunk[position + 1] as number;
    // Alone it would make a C1 control together with a byte behind something that is removed.
    if (code < 0x80 || code > 0xbf) return this.#removeByte(position, sink);
    if (code > 0x9f) return position + 1;
    if (this.#state === 'long') {
      this.#skip(position, sink);
      if (this.#passes) sink.broken(position);
    } else if (this.#state !== 'ground') this.#abandon(position, sink);
    sink.remove(position, position + 2);
    const byte = code - 0x40;
    this.#restartEscape(position + 2);
    this.#held[1] = byte;
    this.#heldLength = 2;
    // The rest of the world calls it a string terminator; it stands alone here.
    if (byte === BACKSLASH) return this.#abandon(position + 2, sink);
    return this.#introduce(byte) ? position + 2 : this.#finish(byte, position + 2, sink);
  }

  /** Keeps the bytes of the current sequence before `end` for later, as far as they can be of use. */
  #hold(end: number): void {
    const free = this.#held.length - this.#heldLength;
    const length = Math.min(end - this.#from, free);
    this.chunk.copy(this.#held, this.#heldLength, this.#from, this.#from + length);
    this.#heldLength += length;
  }

  /** Bytes of the current sequence before `position`. */
  #sizeAt(position: number): number {
    return this.#heldLength + position - this.#from;
  }

  /** The chunk ends here. */
  #suspend(end: number, sink: EscapeSink): void {
    if (this.#state === 'ground') return;
    if (this.#state === 'long') {
      this.#skip(end, sink);
    } else if (this.#state === 'long-escape') {
      // Whether the string is broken off, which has to be said before the ESC, comes out with the next byte.
      sink.remove(end - 1, end);
    } else {
      this.#hold(end);
      sink.remove(this.#from, end);
    }
  }
}
