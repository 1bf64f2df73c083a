import type { Sequence } from './escape-sequence.ts';

/** What an SGR sequence does to the background. */
export type BackgroundEffect = 'none' | 'default' | 'explicit';

/** The parameters of an SGR sequence are `data[start]` up to `data[end - 1]` (ECMA-48 8.3.117, xterm's ctlseqs). */
export function backgroundEffect(data: Uint8Array, start: number, end: number): BackgroundEffect {
  let effect: BackgroundEffect = 'none';
  let position = start;
  // Fields that belong to an extended colour in the form with semicolons.
  let skip = 0;
  // 38, 48 or 58 came, and the field that says how many follow is next.
  let colour = 0;
  for (;;) {
    let value = 0;
    let sub = false;
    for (; position < end; position += 1) {
      const byte = data[position] as number;
      if (byte === 0x3b) break;
      if (byte === 0x3a) sub = true;
      else if (!sub && value < 1000) value = value * 10 + byte - 0x30;
    }
    if (colour !== 0) {
      skip = value === 5 ? 1 : value === 2 ? 3 : 0;
      if (colour === 48 && skip !== 0) effect = 'explicit';
      colour = 0;
    } else if (skip > 0) {
      skip -= 1;
    } else if (value === 0 || value === 49) effect = 'default';
    else if ((value >= 40 && value <= 47) || (value >= 100 && value <= 107)) effect = 'explicit';
    else if (value === 38 || value === 48 || value === 58) {
      if (!sub) colour = value;
      else if (value === 48) effect = 'explicit';
    }
    if (position >= end) return effect;
    position += 1;
  }
}

type Saved = 'nothing' | 'default' | 'explicit';

/**
 * Keeps a tint where the guest's default background is. The terminal does the painting: it erases, scrolls in and saves
 * with the background that is set (back colour erase), so that only what sets the default background has to be
 * followed by the tint: SGR, DECSTR, RIS, and a restored cursor that was saved without a tint, or never. Backgrounds of
 * the guest's own stay as they are.
 */
export class Tint {
  readonly #set: Buffer;
  readonly #setAndErase: Buffer;
  readonly #clear = Buffer.from('\x1b[2J');
  #explicit = false;
  #alternate = false;
  #alternateSeen = false;
  /** What was saved with the cursor, on the normal and on the alternate screen. */
  readonly #saved: [Saved, Saved] = ['nothing', 'nothing'];

  /** `parameters` are those of an SGR sequence that sets a background. */
  constructor(parameters: string) {
    this.#set = Buffer.from(`\x1b[${parameters}m`);
    this.#setAndErase = Buffer.concat([this.#set, Buffer.from('\x1b[J')]);
  }

  /** Tints all from the cursor on. */
  start(): string {
    return this.#setAndErase.toString('latin1');
  }

  /** The terminal's own background again, and nothing of the tint behind the cursor. */
  end(): string {
    return '\x1b[0m\x1b[J';
  }

  /** What has to follow this sequence, if anything. */
  after(sequence: Sequence): Buffer | null {
    if (sequence.kind === 'csi') return this.#afterCsi(sequence);
    if (sequence.kind !== 'escape' || sequence.intermediates !== 0) return null;
    switch (sequence.final) {
      case 0x37: // DECSC
        this.#save();
        return null;
      case 0x38: // DECRC
        return this.#restore();
      case 0x63: // RIS
        this.#explicit = false;
        this.#alternate = false;
        this.#alternateSeen = false;
        this.#saved.fill('nothing');
        return this.#setAndErase;
      default:
        return null;
    }
  }

  #afterCsi({ final, prefix, intermediates, data, bodyStart, bodyEnd }: Sequence): Buffer | null {
    if (prefix === 0 && intermediates === 0) {
      if (final === 0x6d) {
        const effect = backgroundEffect(data, bodyStart, bodyEnd);
        if (effect !== 'none') this.#explicit = effect === 'explicit';
        return effect === 'default' ? this.#set : null;
      }
      if (final === 0x73) this.#save(); // SCOSC
      return final === 0x75 ? this.#restore() : null; // SCORC
    }
    if (prefix === 0 && intermediates === 0x21 && final === 0x70) {
      this.#explicit = false;
      this.#saved[this.#alternate ? 1 : 0] = 'nothing';
      return this.#set;
    }
    if (prefix !== 0x3f || intermediates !== 0 || (final !== 0x68 && final !== 0x6c)) return null;
    let follow: Buffer | null = null;
    for (const mode of data.toString('latin1', bodyStart, bodyEnd).split(';')) {
      follow = (final === 0x68 ? this.#setMode(mode) : this.#resetMode(mode)) ?? follow;
    }
    return follow;
  }

  #setMode(mode: string): Buffer | null {
    if (mode === '1048' || mode === '1049') this.#save();
    if (mode !== '47' && mode !== '1047' && mode !== '1049') return null;
    if (this.#alternate) return null;
    // Some terminals clear the alternate screen without a background, and 47 only shows what was there before.
    const clear = mode !== '47' || !this.#alternateSeen;
    this.#alternate = true;
    this.#alternateSeen = true;
    return clear && !this.#explicit ? this.#clear : null;
  }

  #resetMode(mode: string): Buffer | null {
    if (mode === '47' || mode === '1047' || mode === '1049') this.#alternate = false;
    return mode === '1048' || mode === '1049' ? this.#restore() : null;
  }

  #save(): void {
    this.#saved[this.#alternate ? 1 : 0] = this.#explicit ? 'explicit' : 'default';
  }

  #restore(): Buffer | null {
    this.#explicit = this.#saved[this.#alternate ? 1 : 0] === 'explicit';
    return this.#explicit ? null : this.#set;
  }
}
