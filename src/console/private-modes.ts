import { EscapeParser } from './escape-parser.ts';
import type { EscapeSink, Sequence } from './escape-sequence.ts';

/** Bytes of parameters; longer ones are no mode sequences. */
const LONGEST = 64;

/** Modes that show the alternate screen, of which there is one: each leaves it, whichever has shown it. */
const screens: readonly number[] = [47, 1047, 1049];

/** In which the terminal tells by itself what happens: mouse, focus, colour scheme, size of the window. */
const reports: readonly number[] = [9, 1000, 1001, 1002, 1003, 1004, 2031, 2048];

/** The modes that make a shell unusable when a guest leaves them behind, with what they are at rest. */
const atRest = new Map<number, boolean>([
  [1, false], // application cursor keys
  [4, false], // smooth scrolling
  [5, false], // reverse video
  [6, false], // origin mode
  [7, true], // wrap around
  [8, true], // keys repeat
  [25, true], // cursor shown
  [45, false], // reverse wrap around
  [66, false], // application keypad
  ...[9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016].map((mode) => [mode, false] as const), // mouse, focus
  ...screens.map((mode) => [mode, false] as const),
  [69, false], // left and right margins
  [80, false], // sixels do not scroll
  [1070, true], // each sixel image has colours of its own
  [2004, false], // bracketed paste
  [2026, false], // synchronized output
  [8452, false], // cursor beside a sixel image
  ...[2031, 2048].map((mode) => [mode, false] as const), // reports of colour scheme and window size
]);

/**
 * What no terminal has at rest and what is undone without a look at it: a soft reset (DECSTR), which tmux and Linux' own
 * console do not know; so then, one by one, the character sets, the keypad, insertion, colours and the scroll region (to set
 * that moves the cursor), wrap around (which DECSTR switches off on some terminals), the cursor shown. Moves no text.
 */
const always = '\x1b[!p\x0f\x1b(B\x1b>\x1b[4l\x1b[0m\x1b7\x1b[r\x1b8\x1b[?7h\x1b[?25h';

/** The cursor's own shape: DECSCUSR, and that of Linux' console. */
const shapes = { ' q': '\x1b[0 q', '?c': '\x1b[?0c' } as const;

/**
 * Follows which private modes of the terminal the guest has changed, through all chunk boundaries, to undo exactly
 * these at the end (xterm's ctlseqs, "DEC Private Mode Set"), and the cursor's shape. A guest that ends in the middle of an editor leaves the
 * alternate screen, mouse reports and a hidden cursor behind otherwise.
 */
export class PrivateModes {
  readonly #changed = new Set<number>();
  /** With the sequence that said so last. */
  readonly #shaped = new Map<keyof typeof shapes, string>();
  #keypad = false;
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
  see({ kind, final, prefix, intermediates, data, start, end, bodyStart, bodyEnd }: Sequence): void {
    if (kind === 'csi' && final === 0x71 && prefix === 0 && intermediates === 0x20)
      this.#shaped.set(' q', data.toString('latin1', start, end));
    if (intermediates !== 0) return;
    if (kind === 'csi' && final === 0x63 && prefix === 0x3f)
      this.#shaped.set('?c', data.toString('latin1', start, end));
    if (kind === 'escape') this.#escape(final);
    if (kind !== 'csi' || prefix !== 0x3f || (final !== 0x68 && final !== 0x6c)) return;
    if (bodyEnd - bodyStart <= LONGEST)
      this.#set(data.toString('latin1', bodyStart, bodyEnd), final === 0x68);
  }

  #escape(final: number): void {
    if (final === 0x3d || final === 0x3e) this.#keypad = final === 0x3d; // DECKPAM, DECKPNM
    if (final !== 0x63) return; // RIS
    this.#changed.clear();
    this.#shaped.clear();
    this.#keypad = false;
  }

  #set(parameters: string, on: boolean): void {
    for (const parameter of parameters.split(';')) {
      const mode = Number(parameter);
      const rest = atRest.get(mode);
      if (rest === undefined) continue;
      if (on !== rest) this.#changed.add(mode);
      else for (const same of isScreen(mode) ? screens : [mode]) this.#changed.delete(same);
    }
  }

  /** What shows the screen again that the guest had, from rest. */
  screenAgain(): string {
    return again([...this.#changed].filter(isScreen));
  }

  /** What brings the terminal back to where the guest had it, from rest and on that screen. */
  again(): string {
    const modes = again([...this.#changed].filter((mode) => !isScreen(mode)));
    return `${modes}${this.#keypad ? '\x1b=' : ''}${[...this.#shaped.values()].join('')}`;
  }

  /** What ends the reports that are switched on; empty for none. */
  stopReports(): string {
    return resetModes([...this.#changed].filter((mode) => reports.includes(mode)));
  }

  /**
   * What brings the terminal back to rest: the changed modes in reverse (the alternate screen is left first, because
   * the cursor's state is kept with it), the cursor's shape, and `always`.
   */
  reset(): string {
    const modes = [...this.#changed].toSorted((a, b) => Number(isScreen(b)) - Number(isScreen(a)));
    return `${resetModes(modes)}${[...this.#shaped.keys()].map((shape) => shapes[shape]).join('')}${always}`;
  }
}

/**
 * As PrivateModes.reset, for a terminal of which nothing is known. Of the alternate screens 1047 leaves each, and restores no
 * cursor that nobody has saved. Origin mode is left to the soft reset: to switch it off moves the cursor.
 */
export function resetFromAny(): string {
  const others = [...atRest.keys()].filter((mode) => !isScreen(mode) && mode !== 6);
  return `${resetModes([1047, ...others])}${Object.values(shapes).join('')}${always}`;
}

function again(modes: readonly number[]): string {
  return modes.map((mode) => `\x1b[?${mode}${atRest.get(mode) ? 'l' : 'h'}`).join('');
}

function resetModes(modes: readonly number[]): string {
  return modes.map((mode) => `\x1b[?${mode}${atRest.get(mode) ? 'h' : 'l'}`).join('');
}

/** Whether this mode shows the alternate screen. */
export function isScreen(mode: number): boolean {
  return screens.includes(mode);
}
