export const ENQ = 0x05;
export const BEL = 0x07;
export const CAN = 0x18;
export const SUB = 0x1a;
export const ESC = 0x1b;
export const DEL = 0x7f;
/** U+0080 to U+009F, the C1 controls, are this and then their code in UTF-8. */
export const C1_LEAD = 0xc2;

/** 1 for each byte that may mean something within a control string. */
export const stringStops = table(ENQ, BEL, CAN, SUB, ESC, C1_LEAD);
const textStops = table(ENQ, ESC, C1_LEAD);

/** So far the bytes are looked at one by one; a search costs more to begin. */
const NEAR = 24;

/**
 * Finds ENQ, ESC and C1_LEAD in a chunk, from the front to the back, at the speed of Buffer.indexOf where they are rare
 * and without searching anything twice where one of them is not.
 */
export class TextStops {
  #chunk: Buffer = Buffer.alloc(0);
  /** Where the next of each is, as far as it was searched for. */
  #escape = -1;
  #enquiry = -1;
  #lead = -1;

  start(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#escape = this.#enquiry = this.#lead = -1;
  }

  /** The first stop at or behind `from`, or the chunk's length. */
  next(from: number): number {
    const chunk = this.#chunk;
    const near = Math.min(chunk.length, from + NEAR);
    let position = from;
    while (position < near && textStops[chunk[position] as number] === 0) position += 1;
    if (position < near || position === chunk.length) return position;
    if (this.#escape < position) this.#escape = search(chunk, ESC, position);
    if (this.#enquiry < position) this.#enquiry = search(chunk, ENQ, position);
    if (this.#lead < position) this.#lead = search(chunk, C1_LEAD, position);
    return Math.min(this.#escape, this.#enquiry, this.#lead);
  }
}

function table(...members: readonly number[]): Uint8Array {
  const found = new Uint8Array(256);
  for (const member of members) found[member] = 1;
  return found;
}

function search(chunk: Buffer, byte: number, from: number): number {
  const found = chunk.indexOf(byte, from);
  return found === -1 ? chunk.length : found;
}
