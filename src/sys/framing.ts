/** What came over a connection is not cut or coded as its protocol says; the message tells what it was. */
export class FramingError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FramingError';
  }
}

const nothing = Buffer.alloc(0);

/**
 * Cuts a byte stream at a delimiter. Holds at most `limit` bytes of an unfinished piece, in whatever crumbs they come.
 * `noun` is what error messages call a piece: "line", "message".
 */
export class Framer {
  /** Bytes that a piece may have, without its delimiter; may be changed between two pieces. */
  limit: number;
  /** Bytes of the stream up to the end of the last piece that was given out, with its delimiter. */
  consumed = 0;
  readonly #delimiter: number;
  readonly #noun: string;
  /** Fed and not looked at yet. */
  #chunk: Buffer = nothing;
  /** A piece without its end: the first `size` bytes of a buffer that grows. */
  #partial: Buffer = nothing;
  #size = 0;

  constructor({ delimiter, limit, noun }: { delimiter: number; limit: number; noun: string }) {
    this.#delimiter = delimiter;
    this.#noun = noun;
    this.limit = limit;
  }

  /** Bytes of the piece that has not ended yet, as far as `next` looked. */
  get pending(): number {
    return this.#size;
  }

  /** Adds bytes; they must not change until `next` has given null. */
  feed(chunk: Buffer): void {
    this.#chunk = this.#chunk.length === 0 ? chunk : Buffer.concat([this.#chunk, chunk]);
  }

  /**
   * The next complete piece without its delimiter; null when more bytes are needed. Throws FramingError for one that
   * is too long; nothing can be read after that.
   */
  next(): Buffer | null {
    const end = this.#chunk.indexOf(this.#delimiter);
    const piece = end === -1 ? this.#chunk : this.#chunk.subarray(0, end);
    if (this.#size + piece.length > this.limit) {
      this.takeRest();
      throw new FramingError(`a ${this.#noun} of more than ${this.limit} bytes`);
    }
    if (end === -1) {
      this.#append(piece);
      this.#chunk = nothing;
      return null;
    }
    this.#chunk = this.#chunk.subarray(end + 1);
    if (this.#size > 0) this.#append(piece);
    const whole = this.#size > 0 ? this.#partial.subarray(0, this.#size) : piece;
    this.#partial = nothing;
    this.#size = 0;
    this.consumed += whole.length + 1;
    return whole;
  }

  /** All bytes that were fed and not given out, for whoever reads the stream from now on. */
  takeRest(): Buffer {
    const rest = Buffer.concat([this.#partial.subarray(0, this.#size), this.#chunk]);
    this.#partial = nothing;
    this.#chunk = nothing;
    this.#size = 0;
    return rest;
  }

  /** Copied, so that a thousand crumbs do not hold a thousand chunks. */
  #append(piece: Buffer): void {
    if (piece.length === 0) return;
    const size = this.#size + piece.length;
    if (size > this.#partial.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(size, Math.min(2 * this.#partial.length, this.limit)));
      this.#partial.copy(grown, 0, 0, this.#size);
      this.#partial = grown;
    }
    piece.copy(this.#partial, this.#size);
    this.#size = size;
  }
}

let decoder: InstanceType<typeof TextDecoder> | undefined;

/** UTF-8 to text, byte for byte. Throws FramingError with `noun` in it for what is no UTF-8. */
export function decodeUtf8(bytes: Uint8Array, noun: string): string {
  decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new FramingError(`a ${noun} that is not UTF-8`, { cause: error });
  }
}
