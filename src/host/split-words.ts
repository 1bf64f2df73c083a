const whitespace = new Set([' ', '\t', '\n', '\r']);
const escapes: { readonly [letter: string]: string } = { n: '\n', t: '\t', r: '\r', s: ' ' };

/**
 * Splits text into words as systemd splits lists of words: blanks separate, single and double quotes hold together,
 * a backslash takes the next character literally or means one of \n \t \r \s. Returns null for a quote or a backslash
 * without an end.
 */
export function splitWords(text: string): readonly string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === '\\' && quote !== "'") {
      index += 1;
      if (index >= text.length) return null;
      const escaped = text.charAt(index);
      word = (word ?? '') + (escapes[escaped] ?? escaped);
    } else if (quote !== null) {
      if (character === quote) quote = null;
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (whitespace.has(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== null) return null;
  if (word !== null) words.push(word);
  return words;
}
