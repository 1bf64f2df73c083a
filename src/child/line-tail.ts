import { printable } from '../errors.ts';

/** Bytes of text that are kept; a line longer than a quarter of it is cut into several. */
const CAPACITY = 64 * 1024;

/** The last lines of a stream of text, for error messages. Control characters are shown as escapes. */
export class LineTail {
  readonly #lines: string[] = [];
  #size = 0;
  #partial: Buffer = Buffer.alloc(0);
  readonly #onLine: ((line: string) => void) | undefined;

  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(chunk: Uint8Array): void {
    let rest = Buffer.concat([this.#partial, chunk]);
    for (;;) {
      const feed = rest.indexOf(10);
      const end = feed === -1 || feed > CAPACITY / 4 ? CAPACITY / 4 : feed;
      if (end >= rest.length) break;
      this.#push(rest.subarray(0, end));
      rest = rest.subarray(end === feed ? end + 1 : end);
    }
    // A copy, so that one byte does not keep a whole chunk alive.
    this.#partial = Buffer.from(rest);
  }

  /** The stream has ended: what stands there without a line feed is a line too. */
  end(): void {
    if (this.#partial.length > 0) this.#push(this.#partial);
    this.#partial = Buffer.alloc(0);
  }

  /** At most `count` of the last lines, oldest first; with an unfinished one, if there is one. */
  last(count = Infinity): string[] {
    const lines = this.#partial.length > 0 ? [...this.#lines, shown(this.#partial)] : [...this.#lines];
    return count >= lines.length ? lines : lines.slice(lines.length - count);
  }

  #push(bytes: Uint8Array): void {
    const line = shown(bytes);
    this.#lines.push(line);
    this.#size += line.length;
    while (this.#size > CAPACITY) this.#size -= this.#lines.shift()?.length ?? 0;
    this.#onLine?.(line);
  }
}

function shown(bytes: Uint8Array): string {
  return printable(Buffer.from(bytes).toString().replace(/\r$/, '').replaceAll('\t', ' '));
}
