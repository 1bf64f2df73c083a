/** What came over a QMP connection is no QMP; `detail` tells what it was. */
export class FramingError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FramingError';
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Cuts a byte stream into lines of UTF-8 text (QMP: one JSON object to a line, ended by CR LF or LF). Holds at most
 * `limit` bytes of an unfinished line.
 */
export class LineFramer {
  /** Bytes that a line may have; may be changed between two chunks. */
  limit: number;
  #pieces: Buffer[] = [];
  #size = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes of the line that has not ended yet. */
  get pending(): number {
    return this.#size;
  }

  /**
   * The lines that `chunk` completes, without their ends; empty lines are left out. Lazy: `limit` may
   * be changed between two lines of a chunk. Throws FramingError for a line that is too long or no UTF-8; nothing can be read after that.
   */
  *push(chunk: Buffer): Generator<string, void, void> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      const piece = chunk.subarray(start, end === -1 ? undefined : end);
      if (this.#size + piece.length > this.limit) {
        this.#pieces = [];
        throw new FramingError(`a line of more than ${this.limit} bytes`);
      }
      if (end === -1) {
        if (piece.length > 0) this.#pieces.push(piece);
        this.#size += piece.length;
        return;
      }
      const line = this.#pieces.length === 0 ? piece : Buffer.concat([...this.#pieces, piece]);
      this.#pieces = [];
      this.#size = 0;
      start = end + 1;
      const text = decode(line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line);
      if (text !== '') yield text;
    }
  }
}

let decoder: InstanceType<typeof TextDecoder> | undefined;

function decode(line: Buffer): string {
  decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return decoder.decode(line);
  } catch (error) {
    throw new FramingError('a line that is not UTF-8', { cause: error });
  }
}
