/** Settings that a guest may have pushed at one time: in terminals with eight places one more would push out the host's. */
const STACK_LIMIT = 7;
/** The parameters of `=` and `>`: flags, and for `=` how they are meant. */
const wellFormed = /^([0-9]{0,3})(?:;([123]?))?$/;

/** What becomes of a sequence; a number is how many settings are to be popped in its place. */
export type KeyboardVerdict = 'pass' | 'drop' | number;

/**
 * What a guest has done to the keyboard's protocol on one screen of the terminal
 * (https://sw.kovidgoyal.net/kitty/keyboard-protocol/): `CSI > u` pushes flags, `CSI < u` pops, `CSI = u` sets those
 * on top.
 */
export class KeyboardProtocol {
  /** Flags below all that was pushed; null as long as they are the host's. */
  #base: number | null = null;
  readonly #pushed: number[] = [];

  /** Judges the sequence with this prefix and these parameters, and follows what it does. */
  judge(prefix: number, parameters: string): KeyboardVerdict {
    if (prefix === 0x3c) return this.#pop(parameters);
    const [, flags, mode] = wellFormed.exec(parameters) ?? [];
    if (flags === undefined) return 'drop';
    if (prefix === 0x3d) this.#set(Number(flags), mode ?? '');
    else if (this.#pushed.length >= STACK_LIMIT) return 'drop';
    else this.#pushed.push(Number(flags));
    return 'pass';
  }

  /** The terminal was reset (RIS). */
  reset(): void {
    // Not all terminals have a reset that goes so far.
    if (this.#pushed.length > 0 || this.#base !== null) this.#base = 0;
    this.#pushed.length = 0;
  }

  /** Nothing is left of what the guest has done. */
  forget(): void {
    this.#base = null;
    this.#pushed.length = 0;
  }

  /** What gives the keyboard back to the host. */
  undo(): string {
    return `${popped(this.#pushed.length)}${this.#base === null ? '' : '\x1b[=0u'}`;
  }

  /** What to write after `undo` when the guest has the keyboard again. */
  again(): string {
    const base = this.#base === null ? '' : `\x1b[=${this.#base}u`;
    return `${base}${this.#pushed.map((flags) => `\x1b[>${flags}u`).join('')}`;
  }

  #set(flags: number, mode: string): void {
    const before = this.#pushed.at(-1) ?? this.#base ?? 0;
    const after = mode === '2' ? before | flags : mode === '3' ? before & ~flags : flags;
    if (this.#pushed.length > 0) this.#pushed[this.#pushed.length - 1] = after;
    else this.#base = after;
  }

  /** Not what the host has pushed. */
  #pop(parameters: string): KeyboardVerdict {
    const count = parameters === '' ? 1 : Number(parameters);
    const pops = Math.min(Number.isNaN(count) ? 0 : count, this.#pushed.length);
    if (pops === 0) return 'drop';
    this.#pushed.length -= pops;
    return pops === count ? 'pass' : pops;
  }
}

/** Pops so many settings, perhaps none. */
export function popped(count: number): string {
  return count === 0 ? '' : `\x1b[<${count}u`;
}

/** What gives the keyboard back where nothing is known of what the guest has done on the screen that is shown. */
export const undoAnyKeyboard = `${popped(STACK_LIMIT)}\x1b[=0u`;
