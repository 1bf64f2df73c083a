/** `ESC [ ?`: what starts a DEC private mode sequence (DECSET, DECRST). */
const INTRODUCER = Buffer.from('\x1b[?');
/** Longer ones are no mode sequences. */
const LONGEST = 64;

/** The modes that make a shell unusable when a guest leaves them behind, with what they are at rest. */
const atRest = new Map<number, boolean>([
  [1, false], // application cursor keys
  [5, false], // reverse video
  [6, false], // origin mode
  [7, true], // wrap around
  [25, true], // cursor shown
  ...[9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016].map((mode) => [mode, false] as const), // mouse, focus
  ...[47, 1047, 1049].map((mode) => [mode, false] as const), // alternate screen
  [2004, false], // bracketed paste
]);

/**
 * Follows which private modes of the terminal the guest has changed, through all chunk boundaries, to undo exactly
 * these at the end (xterm's ctlseqs, "DEC Private Mode Set"). A guest that ends in the middle of an editor leaves the
 * alternate screen, mouse reports and a hidden cursor behind otherwise.
 */
export class PrivateModes {
  readonly #changed = new Set<number>();
  /** The beginning of a sequence at the end of the last chunk. */
  #carry: Buffer = Buffer.alloc(0);

  /** Takes what is written to the terminal next. */
  push(chunk: Buffer): void {
    const data = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    let start = data.indexOf(INTRODUCER);
    while (start !== -1) {
      let end = start + INTRODUCER.length;
      while (end < data.length && end - start < LONGEST && isParameter(data[end])) end += 1;
      if (end === data.length) break;
      const final = data[end];
      if (final === 0x68 || final === 0x6c) {
        this.#set(data.toString('latin1', start + INTRODUCER.length, end), final === 0x68);
      }
      start = data.indexOf(INTRODUCER, end);
    }
    this.#carry = Buffer.from(data.subarray(start === -1 ? unfinished(data) : start));
  }

  #set(parameters: string, on: boolean): void {
    for (const parameter of parameters.split(';')) {
      const mode = Number(parameter);
      const rest = atRest.get(mode);
      if (rest === undefined) continue;
      if (on === rest) this.#changed.delete(mode);
      else this.#changed.add(mode);
    }
  }

  /**
   * What brings the terminal back to rest: the changed modes in reverse (the alternate screen is left first, because
   * the cursor's state is kept with it), a soft reset, plain characters, wrap around, the cursor shown. It moves no
   * text on the normal screen.
   */
  reset(): string {
    const modes = [...this.#changed].toSorted((a, b) => Number(isScreen(b)) - Number(isScreen(a)));
    const undo = modes.map((mode) => `\x1b[?${mode}${atRest.get(mode) ? 'h' : 'l'}`).join('');
    // CAN first: it ends a sequence or string that the guest has left unfinished. DECSTR switches wrap around off on
    // some terminals, so that it is switched on after it.
    return `\x18${undo}\x1b[!p\x1b[0m\x1b[?7h\x1b[?25h`;
  }
}

function isParameter(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || byte === 0x3b);
}

function isScreen(mode: number): boolean {
  return mode === 47 || mode === 1047 || mode === 1049;
}

/** Where the beginning of an introducer at the very end starts, or the length. */
function unfinished(data: Buffer): number {
  if (data.at(-1) === 0x1b) return data.length - 1;
  if (data.at(-2) === 0x1b && data.at(-1) === 0x5b) return data.length - 2;
  return data.length;
}
