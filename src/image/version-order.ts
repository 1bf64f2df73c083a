/** Characters that sort before the end of a version and among each other in this order (UAPI.10). */
const separators = ['~', '', '-', '^', '.'];

/**
 * Compares two versions as the Version Format Specification (UAPI.10) has it: negative when `a` is the older one.
 * A tilde makes older, a number is compared as a number, letters stand before numbers, capitals before small letters.
 */
export function compareVersions(a: string, b: string): number {
  let [left, right] = [a, b];
  for (;;) {
    left = left.replace(/^[^A-Za-z0-9~.^-]+/, '');
    right = right.replace(/^[^A-Za-z0-9~.^-]+/, '');
    if (left === '' && right === '') return 0;
    const order = rank(left) - rank(right);
    if (order !== 0) return order;
    if (rank(left) < separators.length) {
      [left, right] = [left.slice(1), right.slice(1)];
      continue;
    }
    const digits = /^\d/.test(left) || /^\d/.test(right);
    const part = digits ? /^\d*/ : /^[A-Za-z]*/;
    const [one = ''] = part.exec(left) ?? [];
    const [two = ''] = part.exec(right) ?? [];
    const result = digits ? compareNumbers(one, two) : one < two ? -1 : one > two ? 1 : 0;
    if (result !== 0) return result;
    [left, right] = [left.slice(one.length), right.slice(two.length)];
  }
}

/** The end of a version and its separators by their place, everything else after them. */
function rank(text: string): number {
  const place = separators.indexOf(text.charAt(0));
  return place === -1 ? separators.length : place;
}

/** Without their values as numbers, which may have any length. No digits are less than any. */
function compareNumbers(a: string, b: string): number {
  if (a === '' || b === '') return a.length - b.length;
  const [one, two] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return one.length - two.length || (one < two ? -1 : one > two ? 1 : 0);
}
