import { decodeUtf8, Framer } from '../sys/framing.ts';

export { FramingError } from '../sys/framing.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Cuts a byte stream into lines of UTF-8 text (QMP: one JSON object to a line, ended by CR LF or LF). Holds at most
 * `limit` bytes of an unfinished line.
 */
export class LineFramer {
  readonly #framer: Framer;

  constructor(limit: number) {
    this.#framer = new Framer({ delimiter: LINE_FEED, limit, noun: 'line' });
  }

  /** Bytes that a line may have; may be changed between two lines. */
  set limit(bytes: number) {
    this.#framer.limit = bytes;
  }

  /** Bytes of the line that has not ended yet. */
  get pending(): number {
    return this.#framer.pending;
  }

  /**
   * The lines that `chunk` completes, without their ends; empty lines are left out. Lazy: `limit` may
   * be changed between two lines of a chunk. Throws FramingError for a line that is too long or no UTF-8; nothing can be read after that.
   */
  *push(chunk: Buffer): Generator<string, void, void> {
    this.#framer.feed(chunk);
    for (let line = this.#framer.next(); line !== null; line = this.#framer.next()) {
      const text = decodeUtf8(line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line, 'line');
      if (text !== '') yield text;
    }
  }
}
