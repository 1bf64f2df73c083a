/** Machine types are short; a longer pattern is none, and matches nothing. */
const patternLimit = 256;

/**
 * Whether `text` as a whole matches the shell pattern: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`, and a backslash before
 * what stands for itself. As fnmatch(3) without flags. Takes time in proportion to both lengths multiplied: a pattern
 * comes from a file, and one made into a regular expression could take for ever.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  if (pattern.length > patternLimit) return false;
  let p = 0;
  let t = 0;
  let starPattern = -1;
  let starText = -1;
  while (t < text.length) {
    if (pattern[p] === '*') {
      starPattern = ++p;
      starText = t;
      continue;
    }
    const next = p < pattern.length ? matchOne(pattern, p, text.charAt(t)) : -1;
    if (next !== -1) {
      p = next;
      t++;
      continue;
    }
    if (starPattern === -1) return false;
    // Let the last star take one character more. An earlier one never has to: its part has matched as early as it can.
    p = starPattern;
    t = ++starText;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** The index in the pattern after the one element at `at`, or -1 when it does not match the character. */
function matchOne(pattern: string, at: number, character: string): number {
  const element = pattern.charAt(at);
  if (element === '?') return at + 1;
  if (element === '\\' && at + 1 < pattern.length) return pattern[at + 1] === character ? at + 2 : -1;
  if (element === '[') {
    const end = bracketEnd(pattern, at);
    if (end !== -1) return inBracket(pattern.slice(at + 1, end), character) ? end + 1 : -1;
  }
  return element === character ? at + 1 : -1;
}

/** Index of the `]` that closes the bracket opened at `at`, or -1: then the `[` stands for itself. */
function bracketEnd(pattern: string, at: number): number {
  const first = pattern[at + 1] === '!' || pattern[at + 1] === '^' ? at + 2 : at + 1;
  return pattern.indexOf(']', first + 1);
}

function inBracket(set: string, character: string): boolean {
  const negated = set.startsWith('!') || set.startsWith('^');
  const members = negated ? set.slice(1) : set;
  let found = false;
  for (let i = 0; i < members.length; i++) {
    if (members[i + 1] === '-' && i + 2 < members.length) {
      found ||= character >= members.charAt(i) && character <= members.charAt(i + 2);
      i += 2;
    } else {
      found ||= members[i] === character;
    }
  }
  return found !== negated;
}
