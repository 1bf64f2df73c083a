/** Ctrl-], what telnet and systemd use. */
const HOTKEY = 0x1d;
const PRESSES = 3;

/** Milliseconds in which all keys of a sequence must come. */
export const hotkeyWindow = 1000;

/**
 * What the user wants: `end` the machine at once, `reboot` it, ask it to `power-off`, or `detach` from it and leave it running.
 */
export type HotkeyAction = 'end' | 'reboot' | 'power-off' | 'detach';

/** What completes a sequence after two presses. */
const letters = new Map<number | undefined, HotkeyAction>([
  [0x72, 'reboot'],
  [0x70, 'power-off'],
  [0x64, 'detach'],
]);

export interface HotkeyResult {
  /** What goes to the guest. */
  readonly forward: Uint8Array;
  readonly action: HotkeyAction | null;
}

/**
 * Finds Ctrl-] pressed three times in a row, and Ctrl-] Ctrl-] with one of the letters r, p and d after it, the first and the
 * last key not more than a second apart. Presses are passed on at once: a single one is for the guest, where somebody may
 * sit in a telnet, and none is ever held back for a second. Only the key that completes a sequence is swallowed, with what
 * came after it in the same chunk. Any other byte between two presses starts anew, and so does a complete sequence.
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
    for (let at = 0; at < chunk.length; at += 1) {
      this.#presses = this.#presses.filter((time) => now - time <= hotkeyWindow);
      const byte = chunk[at];
      if (byte === HOTKEY) this.#presses.push(now);
      const action = byte === HOTKEY ? 'end' : letters.get(byte);
      const needed = byte === HOTKEY ? PRESSES : PRESSES - 1;
      if (action !== undefined && this.#presses.length === needed) {
        this.#presses = [];
        return { forward: chunk.subarray(0, at), action };
      }
      if (byte === HOTKEY) continue;
      this.#presses = [];
      // A paste must not cost a loop over each byte.
      const next = chunk.indexOf(HOTKEY, at);
      if (next === -1) break;
      at = next - 1;
    }
    return { forward: chunk, action: null };
  }
}
