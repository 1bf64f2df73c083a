import { printable } from '../errors.ts';

/** What a guest can say of itself (sd_notify(3)) that means something here. */
export type GuestMessage =
  | { readonly kind: 'ready' }
  /** For people: printable and short. */
  | { readonly kind: 'status'; readonly text: string }
  | { readonly kind: 'exit-status'; readonly status: number };

/** Longer lines are no message of ours; so much of one is kept until its end has come. */
const LINE_LIMIT = 4096;
/** Characters of a status. */
const STATUS_LIMIT = 200;

const LINE_FEED = 10;

/**
 * Reads what a guest sends, of which nothing can be relied on: lines `NAME=VALUE` without end, without names, not in
 * UTF-8. Only what is known comes out; memory is bounded by one line, and a line that is too long is skipped to its end.
 */
export class NotifyReader {
  #line: Buffer = Buffer.alloc(0);
  #skipping = false;

  /** The messages that are complete with these bytes. */
  push(chunk: Uint8Array): GuestMessage[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const messages: GuestMessage[] = [];
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
      this.#add(bytes.subarray(start, end));
      messages.push(...this.end());
      start = end + 1;
    }
    this.#add(bytes.subarray(start));
    return messages;
  }

  /** The message that the last line is, when nothing comes any more; a datagram's need not end with a line feed. */
  end(): GuestMessage[] {
    const message = this.#skipping ? null : messageOf(this.#line);
    this.#line = Buffer.alloc(0);
    this.#skipping = false;
    return message === null ? [] : [message];
  }

  #add(part: Buffer): void {
    if (this.#skipping || part.length === 0) return;
    if (this.#line.length + part.length > LINE_LIMIT) {
      this.#skipping = true;
      this.#line = Buffer.alloc(0);
    } else this.#line = Buffer.concat([this.#line, part]);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function messageOf(line: Buffer): GuestMessage | null {
  let text: string;
  try {
    text = utf8.decode(line);
  } catch {
    return null;
  }
  // A terminal line in the guest may have made two of its line feed.
  if (text.endsWith('\r')) text = text.slice(0, -1);
  if (text === 'READY=1') return { kind: 'ready' };
  if (text.startsWith('STATUS=')) {
    const status = [...text.slice('STATUS='.length)].slice(0, STATUS_LIMIT).join('');
    return { kind: 'status', text: printable(status) };
  }
  const [, digits] = /^EXIT_STATUS=([0-9]{1,3})$/.exec(text) ?? [];
  const status = Number(digits);
  return status <= 255 ? { kind: 'exit-status', status } : null;
}
