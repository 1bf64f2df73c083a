/** An interface description that is not valid, with its place counted from 1; the message begins with it. */
export class IdlSyntaxError extends Error {
  readonly line: number;
  /** In UTF-16 units. */
  readonly column: number;

  constructor(text: string, offset: number, message: string) {
    const before = text.slice(0, offset).split(lineEnd);
    const line = before.length;
    const column = (before.at(-1)?.length ?? 0) + 1;
    super(`${line}:${column}: ${message}`);
    this.name = 'IdlSyntaxError';
    this.line = line;
    this.column = column;
  }
}

export interface IdlToken {
  /** A word, one of `( ) [ ] : , ? ->`, or '' at the end of the text. */
  readonly text: string;
  readonly offset: number;
  /** Of the lines right above that are comments. */
  readonly comment: string;
}

const lineEnd = /\r\n|[\n\r\u2028\u2029]/;
const space = /[ \t\u00a0\ufeff\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]+/y;
const newLine = /\r\n|[\n\r\u2028\u2029]/y;
const comment = /#[^\n\r\u2028\u2029]*/y;
const symbol = /->|[()[\]:,?]|[A-Za-z0-9_](?:[A-Za-z0-9_.]|-+(?=[A-Za-z0-9_.]))*/y;

/** Cuts an interface description into its words and marks. Throws IdlSyntaxError. */
export function tokenize(text: string): readonly IdlToken[] {
  const tokens: IdlToken[] = [];
  let lines: string[] = [];
  /** Nothing but spaces since the line began. */
  let fresh = true;
  let commented = false;
  let offset = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = offset;
    const match = pattern.exec(text);
    if (match === null) return null;
    offset += match[0].length;
    return match[0];
  };
  while (offset < text.length) {
    if (take(space) !== null) continue;
    if (take(newLine) !== null) {
      // An empty line parts a comment from what follows.
      if (fresh && !commented) lines = [];
      fresh = true;
      commented = false;
      continue;
    }
    const remark = take(comment);
    if (remark !== null) {
      if (fresh) lines.push(remark.replace(/^# ?/, ''));
      commented = true;
      continue;
    }
    const start = offset;
    const word = take(symbol);
    if (word === null) {
      const strange = String.fromCodePoint(text.codePointAt(offset) ?? 0);
      throw new IdlSyntaxError(text, offset, `unexpected ${JSON.stringify(strange)}`);
    }
    tokens.push({ text: word, offset: start, comment: lines.join('\n') });
    lines = [];
    fresh = false;
  }
  tokens.push({ text: '', offset, comment: '' });
  return tokens;
}
