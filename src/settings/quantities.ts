const suffixes = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

/**
 * Bytes from a number with a suffix K, M, G, T, P or E (powers of `base`) and perhaps a decimal part, which is exact:
 * `1.5G`. Null for what is written otherwise.
 */
export function bytesOf(value: string, base: 1024n | 1000n = 1024n): bigint | null {
  const match = /^([0-9]{1,20})(?:\.([0-9]{1,20}))?([KMGTPE]?)B?$/i.exec(value);
  if (match === null) return null;
  const [, whole = '', fraction = '', suffix = ''] = match;
  const unit = base ** BigInt(suffixes.indexOf(suffix.toUpperCase()));
  return BigInt(whole) * unit + (BigInt(fraction || '0') * unit) / 10n ** BigInt(fraction.length);
}

const units: readonly (readonly [microseconds: number, names: readonly string[]])[] = [
  [1, ['us', 'usec', '\u00b5s', '\u03bcs']],
  [1000, ['ms', 'msec']],
  [1_000_000, ['', 's', 'sec', 'second', 'seconds']],
  [60_000_000, ['m', 'min', 'minute', 'minutes']],
  [3_600_000_000, ['h', 'hr', 'hour', 'hours']],
  [86_400_000_000, ['d', 'day', 'days']],
  [604_800_000_000, ['w', 'week', 'weeks']],
  [2_629_800_000_000, ['M', 'month', 'months']],
  [31_557_600_000_000, ['y', 'year', 'years']],
];

/**
 * A time span as systemd.time(7) has it, in microseconds: numbers with units that add up (`1min 30s`), a number alone
 * is seconds; Infinity for `infinity`, null for what is no time span.
 */
export function timeSpanOf(value: string): number | null {
  const text = value.trim();
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  const part = /\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z\u00b5\u03bc]*)/y;
  let microseconds = 0;
  do {
    const match = part.exec(text);
    const unit = match === null ? undefined : units.find(([, names]) => names.includes(match[2] ?? ''));
    if (match === null || unit === undefined) return null;
    microseconds += Number(match[1]) * unit[0];
  } while (part.lastIndex < text.length);
  return microseconds;
}

const yesWords = ['1', 'yes', 'y', 'true', 't', 'on'];
const noWords = ['0', 'no', 'n', 'false', 'f', 'off'];

/** systemd's boolean words, in any case (parse_boolean, systemd.syntax(7)); undefined for anything else. */
export function booleanWord(value: string): boolean | undefined {
  const word = value.toLowerCase();
  if (yesWords.includes(word)) return true;
  if (noWords.includes(word)) return false;
  return undefined;
}
