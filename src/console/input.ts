/** Ctrl-], what telnet and systemd use. */
const HOTKEY = 0x1d;
const PRESSES = 3;

/** Milliseconds in which all presses must come. */
export const hotkeyWindow = 1000;

export interface HotkeyResult {
  /** What goes to the guest. */
  readonly forward: Uint8Array;
  /** The user wants the machine to end. */
  readonly end: boolean;
}

/**
 * Finds Ctrl-] pressed three times in a row, the first and the third not more than a second apart. Presses are passed
 * on at once: a single one is for the guest, where somebody may sit in a telnet, and none is ever held back for a
 * second. Only the press that completes the sequence is swallowed, with what came after it in the same chunk. Any
 * other byte between two presses starts anew. After an end the count starts anew as well.
 */
export class HotkeyDetector {
  readonly #now: () => number;
  /** Times of the latest presses in a row, fewer than are needed. */
  #presses: number[] = [];

  /** `now` gives milliseconds on a clock that nobody sets. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes what was read in one go. */
  push(chunk: Uint8Array): HotkeyResult {
    const now = this.#now();
    // A paste must not cost a loop over each byte.
    for (let at = 0; at < chunk.length; at += 1) {
      const next = chunk.indexOf(HOTKEY, at);
      if (next !== at) this.#presses = [];
      if (next === -1) break;
      at = next;
      this.#presses = this.#presses.filter((time) => now - time <= hotkeyWindow);
      this.#presses.push(now);
      if (this.#presses.length === PRESSES) {
        this.#presses = [];
        return { forward: chunk.subarray(0, at), end: true };
      }
    }
    return { forward: chunk, end: false };
  }
}
