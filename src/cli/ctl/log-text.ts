import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { printable } from '../../errors.ts';

/** Parameters of a control sequence that are kept while it is read; of a longer one nothing comes through. */
const parameterLimit = 64;

/**
 * A console's output for somebody who reads it as a text on a terminal: lines end in CR LF; escape and control sequences
 * (ECMA-48 5.4, 5.6) are left out, but for colours where these are allowed; other control characters are shown.
 */
export class LogText extends Transform {
  readonly #colour: boolean;
  readonly #decoder = new StringDecoder('utf8');
  #state: 'text' | 'escape' | 'control' | 'string' | 'string-escape' = 'text';
  #parameters = '';
  #coloured = false;
  /** A carriage return that may belong to a line feed. */
  #return = false;
  #column = 0;

  constructor({ colour }: { readonly colour: boolean }) {
    super();
    this.#colour = colour;
  }

  override _transform(
    chunk: Buffer,
    _encoding: BufferEncoding,
    callback: (error: null, text: string) => void,
  ) {
    callback(null, this.#convert(this.#decoder.write(chunk)));
  }

  override _flush(callback: (error: null, text: string) => void): void {
    const rest = this.#convert(this.#decoder.end());
    callback(null, this.#coloured ? `${rest}\x1b[0m` : rest);
  }

  #convert(text: string): string {
    let result = '';
    for (const character of text) result += this.#next(character);
    return result;
  }

  #next(character: string): string {
    // These end whatever sequence they come in.
    if (character === '\x18' || character === '\x1a') {
      this.#state = 'text';
      return '';
    }
    switch (this.#state) {
      case 'text':
        return this.#plain(character);
      case 'escape':
        this.#parameters = '';
        if (character === '[') this.#state = 'control';
        else if (']PX^_'.includes(character)) this.#state = 'string';
        // Intermediate bytes come before the last one.
        else if (character > '/' || character < ' ') this.#state = 'text';
        return '';
      case 'control':
        return this.#control(character);
      case 'string':
        if (character === '\x07') this.#state = 'text';
        else if (character === '\x1b') this.#state = 'string-escape';
        return '';
      case 'string-escape':
        // Mostly the second half of the string's end.
        this.#state = 'escape';
        return this.#next(character);
    }
  }

  #control(character: string): string {
    if (character === '\x1b') {
      this.#state = 'escape';
      return '';
    }
    if (character < '@' || character > '~') {
      if (this.#parameters.length <= parameterLimit) this.#parameters += character;
      return '';
    }
    this.#state = 'text';
    const isColour =
      character === 'm' && this.#parameters.length <= parameterLimit && /^[0-9;:]*$/.test(this.#parameters);
    if (!isColour || !this.#colour) return '';
    this.#coloured = true;
    return `\x1b[${this.#parameters}m`;
  }

  #plain(character: string): string {
    if (character === '\x1b') {
      this.#state = 'escape';
      return '';
    }
    if (character === '\r') {
      this.#return = true;
      return '';
    }
    if (character === '\n') {
      this.#return = false;
      this.#column = 0;
      return '\r\n';
    }
    // A line that was written over is shown as two.
    const before = this.#return && this.#column > 0 ? '\r\n' : '';
    this.#return = false;
    this.#column = before === '' ? this.#column + 1 : 1;
    return before + (character === '\t' ? character : printable(character));
  }
}
