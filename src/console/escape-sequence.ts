/** Longest ESC or CSI sequence that is taken for one; what is longer is thrown away as a whole. */
export const SEQUENCE_LIMIT = 256;
/** As much of a control string is looked at before `EscapeSink.overflow` decides about all the rest. */
export const STRING_LIMIT = 4096;

/**
 * `title` is `ESC k`, which sets the title of screen(1) and tmux(1) and ends in ST there; the other strings are those of
 * ECMA-48.
 */
export type SequenceKind = 'escape' | 'csi' | 'osc' | 'dcs' | 'sos' | 'pm' | 'apc' | 'title';

/**
 * One complete sequence, valid during the call that reports it. The bytes are clean: 7-bit introducer, no control
 * characters or DEL within an ESC or CSI sequence (terminals execute these on the way: they are reported as if they had
 * come before), no ENQ within a string.
 */
export interface Sequence {
  readonly kind: SequenceKind;
  /** The bytes, introducer and terminator included, are `data[start]` up to `data[end - 1]`. */
  readonly data: Buffer;
  readonly start: number;
  readonly end: number;
  /** Final byte of an ESC or CSI sequence; 0 for strings. */
  readonly final: number;
  /** `<`, `=`, `>` or `?` at the beginning of a CSI sequence's parameters, or 0. */
  readonly prefix: number;
  /** Intermediate bytes of an ESC or CSI sequence, two at most: 0, `a`, or `a << 8 | b`. */
  readonly intermediates: number;
  /** CSI: where its parameters without the prefix are. Strings: the contents without introducer and terminator. */
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** What it takes of the chunk that is being parsed: all of it if it is `data`, else where it is to be put in. */
  readonly chunkStart: number;
  readonly chunkEnd: number;
}

/**
 * Gets what the parser finds, in order. Bytes of the chunk that are not mentioned are text or control characters for
 * the terminal as they stand. All offsets are into the chunk that `EscapeParser.parse` gave back.
 */
export interface EscapeSink {
  /** A sequence is complete. */
  sequence(sequence: Sequence): void;
  /**
   * A string has become longer than STRING_LIMIT; these are its first bytes, without a terminator. True: it is for the
   * terminal, all else of it goes by as text does, and the `ESC \` at its end is reported. False: all of it is removed.
   */
  overflow(sequence: Sequence): boolean;
  /** A string that overflowed and went to the terminal was broken off, before `at`. */
  broken(at: number): void;
  /** These bytes are not for the terminal, or not yet: ENQ, what is malformed or broken off, what is incomplete. */
  remove(start: number, end: number): void;
}
