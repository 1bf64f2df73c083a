/** Red, green and blue from 0 to 1. */
export type Colour = readonly [red: number, green: number, blue: number];

/**
 * Asks the terminal for its background (xterm's ctlseqs, OSC 11) and then for its attributes (DA1), which every terminal
 * answers: once that answer is here, none to the first will come.
 */
export const backgroundQuery = '\x1b]11;?\x1b\\\x1b[c';

const colourAnswer = /\x1b\]11;([^\x00-\x1f]{0,64})(?:\x07|\x1b\\)/;
const attributesAnswer = /\x1b\[\?[0-9;]{0,64}c/;
/** At the end of what has come: the beginning of an answer, perhaps. */
const unfinished = /\x1b(?:\](?:1(?:1(?:;[^\x00-\x1f]{0,64}\x1b?)?)?)?|\[(?:\?[0-9;]{0,64})?)?$/;

/**
 * Takes the answers to `backgroundQuery` out of what is typed meanwhile. Holds some 70 bytes at most, over any chunk
 * boundaries; may stay in the way of the input until `complete`, so that an answer that comes late is not typed.
 */
export class BackgroundAnswer {
  #text = '';
  #colour: Colour | null = null;
  #complete = false;

  /** The background; null while there is no answer, or none that can be read. */
  get colour(): Colour | null {
    return this.#colour;
  }

  /** Both answers are here, or the second one without the first: nothing else will come. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Takes what the terminal sent; gives back what is the user's. */
  push(chunk: Buffer): Buffer {
    if (this.#complete) return chunk;
    this.#text += chunk.toString('latin1');
    this.#text = this.#text.replace(colourAnswer, (_, colour: string) => {
      this.#colour ??= parseColour(colour);
      return '';
    });
    this.#text = this.#text.replace(attributesAnswer, () => {
      this.#complete = true;
      return '';
    });
    const end = this.#complete ? this.#text.length : this.#text.search(unfinished);
    return this.#take(end === -1 ? this.#text.length : end);
  }

  /** Gives back what is held where it may be a key (ESC, Alt-[): for when no answer came in time. */
  flush(): Buffer {
    return /^\x1b\[?$/.test(this.#text) ? this.#take(this.#text.length) : Buffer.alloc(0);
  }

  #take(length: number): Buffer {
    const typed = Buffer.from(this.#text.slice(0, length), 'latin1');
    this.#text = this.#text.slice(length);
    return typed;
  }
}

/** A colour as terminals report it: `rgb:` and three numbers of one to four hexadecimal digits (XParseColor(3)). */
export function parseColour(text: string): Colour | null {
  const digits = '([0-9a-fA-F]{1,4})';
  const match = new RegExp(`^rgba?:${digits}/${digits}/${digits}(?:/${digits})?$`).exec(text);
  if (match === null) return null;
  const [red = 0, green = 0, blue = 0] = match
    .slice(1, 4)
    .map((value) => Number.parseInt(value, 16) / (16 ** value.length - 1));
  return [red, green, blue];
}

/** Degrees of hue: green, as systemd-vmspawn has it for virtual machines. */
const HUE = 130;

/**
 * The SGR parameters of the tint for a terminal with this background: its brightness in green; pale where it is bright,
 * deep where it is dark, and never as dark as black.
 */
export function tintFor(background: Colour): string {
  const brightness = Math.max(...background);
  const saturation = brightness > 0.5 ? 0.25 : 0.75;
  return `48;2;${rgbOf(HUE, saturation, Math.max(0.2, brightness)).join(';')}`;
}

/** Hue in degrees, saturation and value from 0 to 1; gives red, green and blue from 0 to 255. */
function rgbOf(hue: number, saturation: number, value: number): number[] {
  return [5, 3, 1].map((offset) => {
    const sector = (offset + hue / 60) % 6;
    const share = Math.max(0, Math.min(sector, 4 - sector, 1));
    // A hair more, so that no whole number falls below itself.
    return Math.floor((value - value * saturation * share) * 255 + 1e-6);
  });
}

const byte = '(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})';
const background = new RegExp(
  `^(?:4[0-7]|10[0-7]|48;5;${byte}|48:5:${byte}|48;2(?:;${byte}){3}|48:2(?::[0-9]*)?(?::${byte}){3})$`,
);

/** Whether this is the parameters of an SGR sequence that sets the background and nothing else. */
export function isBackground(parameters: string): boolean {
  return background.test(parameters);
}
