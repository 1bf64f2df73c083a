import type { Sequence } from './escape-sequence.ts';

/**
 * Follows between which lines a guest lets the terminal scroll (DECSTBM, `CSI top ; bottom r`), to set that again. At
 * rest a terminal scrolls as a whole, and so it does after its window has got another size.
 */
export class ScrollRegion {
  #top = 1;
  /** 0 for the last line. */
  #bottom = 0;

  /** Takes a sequence that goes to the terminal. */
  see({ kind, final, prefix, intermediates, data, bodyStart, bodyEnd }: Sequence): void {
    if (kind === 'escape') {
      if (final === 0x63 && intermediates === 0) this.reset(); // RIS
      return;
    }
    if (final === 0x70 && prefix === 0 && intermediates === 0x21) this.reset(); // DECSTR
    if (final !== 0x72 || prefix !== 0 || intermediates !== 0) return;
    const words = data.toString('latin1', bodyStart, bodyEnd).split(';');
    const [top = 0, bottom = 0] = words.map(Number);
    // Terminals pass over what makes no sense.
    if (!(bottom === 0 || bottom > Math.max(1, top)) || Number.isNaN(top)) return;
    this.#top = Math.max(1, top);
    this.#bottom = bottom;
  }

  /** It is the whole window again. */
  reset(): void {
    this.#top = 1;
    this.#bottom = 0;
  }

  /**
   * What makes a terminal with so many rows scroll as the guest wants it, from rest. The cursor is on a free line then, and
   * not below the region, where no line end would scroll.
   */
  again(rows: number): string {
    const ends = this.#bottom !== 0 && this.#bottom < rows;
    if (ends) return `\x1b[${this.#top};${this.#bottom}r\x1b[${this.#bottom}H\r\n`;
    return this.#top === 1 || this.#top >= rows ? '' : `\x1b7\x1b[${this.#top}r\x1b8`;
  }
}
