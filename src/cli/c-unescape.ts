/** One-letter escapes of C strings, with systemd's `\s` for a blank. */
const letters: { readonly [letter: string]: number } = {
  a: 0x07,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  v: 0x0b,
  '\\': 0x5c,
  '"': 0x22,
  "'": 0x27,
  s: 0x20,
};

const pattern =
  /\\(?:([abfnrtv\\"'s])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))/gs;

/**
 * The bytes that a text with C's escapes stands for, as SetCredential= of systemd.exec(5) has it: `\n`, `\x1b`, `\033`,
 * `\u20ac`, and NUL bytes too. null for a backslash that begins none of them.
 */
export function cUnescape(text: string): Uint8Array | null {
  const parts: Buffer[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const [all, letter, hexadecimal, octal, short, long] = match;
    parts.push(Buffer.from(text.slice(end, match.index)));
    end = match.index + all.length;
    const byte =
      letter !== undefined
        ? letters[letter]
        : hexadecimal !== undefined
          ? Number.parseInt(hexadecimal, 16)
          : octal !== undefined
            ? Number.parseInt(octal, 8)
            : undefined;
    if (byte !== undefined) {
      if (byte > 0xff) return null;
      parts.push(Buffer.of(byte));
      continue;
    }
    const point = Number.parseInt(short ?? long ?? '', 16);
    // Surrogates and what is past the last code point cannot be written in UTF-8; NaN is no escape at all.
    if (!(point <= 0x10ffff) || (point >= 0xd800 && point <= 0xdfff)) return null;
    parts.push(Buffer.from(String.fromCodePoint(point)));
  }
  parts.push(Buffer.from(text.slice(end)));
  return Buffer.concat(parts);
}
