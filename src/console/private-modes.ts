import { EscapeParser } from './escape-parser.ts';
import type { EscapeSink, Sequence } from './escape-sequence.ts';

/** Bytes of parameters; longer ones are no mode sequences. */
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
  [69, false], // left and right margins
  [2004, false], // bracketed paste
  [2026, false], // synchronized output
  ...[2031, 2048].map((mode) => [mode, false] as const), // reports of colour scheme and window size
]);

/**
 * Follows which private modes of the terminal the guest has changed, through all chunk boundaries, to undo exactly
 * these at the end (xterm's ctlseqs, "DEC Private Mode Set"). A guest that ends in the middle of an editor leaves the
 * alternate screen, mouse reports and a hidden cursor behind otherwise.
 */
export class PrivateModes {
  readonly #changed = new Set<number>();
  readonly #parser = new EscapeParser();
  readonly #sink: EscapeSink = {
    sequence: (sequence) => this.see(sequence),
    overflow: () => false,
    broken: () => {},
    remove: () => {},
  };

  /** Takes what is written to the terminal next. */
  push(chunk: Buffer): void {
    this.#parser.parse(chunk, this.#sink);
  }

  /** Takes a sequence that goes to the terminal, from a parser that others share. */
  see({ kind, final, prefix, intermediates, data, bodyStart, bodyEnd }: Sequence): void {
    if (intermediates !== 0) return;
    if (kind === 'escape' && final === 0x63) this.#changed.clear(); // RIS
    if (kind !== 'csi' || prefix !== 0x3f || (final !== 0x68 && final !== 0x6c)) return;
    if (bodyEnd - bodyStart <= LONGEST)
      this.#set(data.toString('latin1', bodyStart, bodyEnd), final === 0x68);
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

  /** What brings the terminal from rest back to where the guest had it. */
  again(): string {
    return [...this.#changed].map((mode) => `\x1b[?${mode}${atRest.get(mode) ? 'l' : 'h'}`).join('');
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

function isScreen(mode: number): boolean {
  return mode === 47 || mode === 1047 || mode === 1049;
}
