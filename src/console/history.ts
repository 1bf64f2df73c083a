/** Small writes share a block of so many bytes; larger ones are kept as they are. */
const blockSize = 64 * 1024;
/** From so many bytes on, a copy costs more than the space behind a block that is given up for it. */
const ownBlock = 16 * 1024;
/** How far the start of a line is looked for. */
const longestLine = 4096;

export interface HistoryLimits {
  /** Bytes that are kept for whoever comes later. */
  readonly history: number;
  /** Bytes that are kept at most, for a reader who has not had them yet. */
  readonly backlog: number;
}

interface Block {
  /** Offset of its first byte in all that was ever written. */
  readonly begin: number;
  readonly bytes: Buffer;
  used: number;
}

/**
 * The last part of a stream of bytes, addressed by offsets in the whole of it. Bytes that were given out stay as they
 * are, also when they are dropped here.
 */
export class ConsoleHistory {
  readonly #limits: HistoryLimits;
  readonly #blocks: Block[] = [];
  #end = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
  }

  /** Offset of the first byte that is still here. */
  get begin(): number {
    return this.#blocks[0]?.begin ?? this.#end;
  }

  /** Offset behind the last byte: how many there ever were. */
  get end(): number {
    return this.#end;
  }

  /** Takes a chunk over. `needed` is the offset of the first byte that somebody waits for. */
  add(chunk: Buffer, needed: number): void {
    if (chunk.length === 0) return;
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.bytes.length - last.used >= chunk.length) {
      chunk.copy(last.bytes, last.used);
      last.used += chunk.length;
    } else if (chunk.length >= ownBlock) {
      this.#blocks.push({ begin: this.#end, bytes: chunk, used: chunk.length });
    } else {
      const bytes = Buffer.allocUnsafeSlow(blockSize);
      chunk.copy(bytes);
      this.#blocks.push({ begin: this.#end, bytes, used: chunk.length });
    }
    this.#end += chunk.length;
    this.#trim(needed);
  }

  /** What there is from `offset` on, as far as it lies together; null at the end. The offset must not be dropped yet. */
  at(offset: number): Buffer | null {
    if (offset >= this.#end) return null;
    const block = this.#blocks[this.#find(offset)];
    if (block === undefined || offset < block.begin) throw new RangeError(`${offset} is not here any more`);
    return block.bytes.subarray(offset - block.begin, block.used);
  }

  /** The offset of the first line that begins at `offset` or behind it; `offset` itself within an endless line. */
  lineStart(offset: number): number {
    if (offset <= this.begin && this.begin === 0) return 0;
    let searched = 0;
    for (let at = offset; searched < longestLine; ) {
      const bytes = this.at(at);
      if (bytes === null) break;
      const feed = bytes.indexOf(0x0a);
      if (feed !== -1) return at + feed + 1;
      searched += bytes.length;
      at += bytes.length;
    }
    return offset;
  }

  #trim(needed: number): void {
    for (;;) {
      const [first, second] = this.#blocks;
      if (first === undefined || second === undefined) return;
      const rest = this.#end - second.begin;
      if (rest < this.#limits.history || (second.begin > needed && rest < this.#limits.backlog)) return;
      this.#blocks.shift();
    }
  }

  /** Index of the block with that offset. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#blocks[middle]?.begin ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
