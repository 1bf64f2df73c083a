/** Ctrl-], what telnet and systemd use. */
const HOTKEY = '\x1d';
const PRESSES = 3;

/** Milliseconds in which all keys of a sequence must come. */
export const hotkeyWindow = 1000;

/**
 * What the user wants: `end` the machine at once, `reboot` it, ask it to `power-off`, or `detach` from it and leave it running.
 */
export type HotkeyAction = 'end' | 'reboot' | 'power-off' | 'detach';

/** What completes a sequence after two presses. */
const letters = new Map<string, HotkeyAction>([
  ['r', 'reboot'],
  ['p', 'power-off'],
  ['d', 'detach'],
]);

/**
 * What may be a key of ours, by itself or as guests can have it reported: kitty's protocol and xterm's formatOtherKeys (`u`),
 * xterm's modifyOtherKeys (`~`), and, with the same parameters, the cursor and function keys.
 */
const keys = /[\x1drpd]|\x1b\[[0-9:;]{1,64}[A-HPQSu~]/g;
/** At the end of what was read: what such a report begins with. */
const unfinished = /\x1b(?:\[[0-9:;]{0,64})?$/;

export interface HotkeyResult {
  /** What goes to the guest. */
  readonly forward: Uint8Array;
  readonly action: HotkeyAction | null;
}

/**
 * Finds Ctrl-] pressed three times in a row, and Ctrl-] Ctrl-] with one of the letters r, p and d after it, the first and the
 * last key not more than a second apart. Presses are passed on at once: a single one is for the guest, where somebody may
 * sit in a telnet, and nothing is ever held back. Only the key that completes a sequence is swallowed, with what
 * came after it in the same chunk. Any other key between two presses starts anew, and so does a complete sequence; that a key
 * was released is no key, nor is Ctrl by itself.
 *
 * Of a key that completes a sequence and is reported in pieces the first ones are at the guest before anybody can know: it
 * gets all of it then, so that the next key is not taken for the rest.
 */
export class HotkeyDetector {
  readonly #now: () => number;
  /** Times of the latest presses in a row, fewer than are needed. */
  #presses: number[] = [];
  /** The beginning of a report, which is at the guest already. */
  #begun = '';

  /** `now` gives milliseconds on a clock that nobody sets. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes what was read in one go. */
  push(chunk: Uint8Array): HotkeyResult {
    const now = this.#now();
    this.#presses = this.#presses.filter((time) => now - time <= hotkeyWindow);
    const begun = this.#begun.length;
    const text = this.#begun + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
    this.#begun = '';
    let end = 0;
    for (const { 0: report, index } of text.matchAll(keys)) {
      if (index > end) this.#presses = [];
      end = index + report.length;
      const action = this.#take(report, now);
      if (action === null) continue;
      this.#presses = [];
      return { forward: chunk.subarray(0, (index < begun ? end : index) - begun), action };
    }
    const rest = text.slice(end);
    this.#begun = unfinished.exec(rest)?.[0] ?? '';
    if (rest.length > this.#begun.length) this.#presses = [];
    return { forward: chunk, action: null };
  }

  /** Takes one key or report. */
  #take(report: string, now: number): HotkeyAction | null {
    const key = report.length === 1 ? report : keyOf(report);
    if (key === 'none') return null;
    if (key === HOTKEY) {
      this.#presses.push(now);
      return this.#presses.length === PRESSES ? 'end' : null;
    }
    const presses = this.#presses.length;
    this.#presses = [];
    return (presses === PRESSES - 1 ? letters.get(key) : undefined) ?? null;
  }
}

/**
 * The key that a report tells of, as the character that it is without a protocol: HOTKEY or a letter; `none` where no key was
 * pressed, and `other`. https://sw.kovidgoyal.net/kitty/keyboard-protocol/: `CSI code:alternates ; modifiers:event ; text u`;
 * xterm's ctlseqs, modifyOtherKeys: `CSI 27 ; modifiers ; code ~`.
 */
function keyOf(report: string): string {
  const [first = '', second = '', third = ''] = report.slice(2, -1).split(';');
  const [modifiers, event] = second.split(':');
  if (event === '3') return 'none'; // released
  const final = report.at(-1);
  const code = Number.parseInt(final === 'u' ? first : final === '~' && first === '27' ? third : '', 10);
  if (code >= 57441 && code <= 57454) return 'none'; // Shift, Ctrl and their like
  // One more than the sum of what is held down; Caps Lock and Num Lock do not matter.
  const held = (Number(modifiers || '1') - 1) & ~0xc0;
  if (held === 4 && code === 0x5d) return HOTKEY;
  const letter = String.fromCharCode(code);
  return held === 0 && letters.has(letter) ? letter : 'other';
}
