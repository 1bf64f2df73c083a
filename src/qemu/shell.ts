const SAFE = /^[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*$/;
/** Words that the shell would take for itself in front of a command. */
const SAFE_PROGRAM = /^[A-Za-z0-9_./-]*\/[A-Za-z0-9_@%+:,./-]*$|^qemu-[a-z0-9_-]+$/;

/** One word for bash(1), quoted only where needed. Control and direction characters become octal escapes. */
export function quoteWord(word: string): string {
  if (SAFE.test(word)) return word;
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(word)) return ansiQuote(word);
  // 'it'\''s' is hard to read; a quote alone between double quotes is not.
  return word
    .split("'")
    .map((part) => (part === '' ? '' : `'${part}'`))
    .join(`"'"`)
    .replace(/^$/, "''");
}

function ansiQuote(word: string): string {
  let quoted = '';
  for (const character of word) {
    if (character === '\n') quoted += '\\n';
    else if (character === '\t') quoted += '\\t';
    else if (character === '\\' || character === "'") quoted += `\\${character}`;
    else if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(character)) {
      // Octal has at most three digits, so what follows is never taken as part of it, as a \x escape would take it.
      for (const byte of Buffer.from(character)) quoted += `\\${byte.toString(8).padStart(3, '0')}`;
    } else quoted += character;
  }
  return `$'${quoted}'`;
}

/** A command for bash over several lines: the program, then each option with its values on a line of its own. */
export function renderShell(words: readonly string[]): string {
  const [program, ...rest] = words;
  if (program === undefined) return '';
  // A quoted word is never a reserved word, an alias or an assignment.
  let text = SAFE_PROGRAM.test(program) ? program : quoteWord(program);
  if (text === program && !SAFE_PROGRAM.test(program)) text = `'${program}'`;
  for (const word of rest) {
    text += word.startsWith('-') ? ` \\\n  ${quoteWord(word)}` : ` ${quoteWord(word)}`;
  }
  return text;
}
