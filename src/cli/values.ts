import { UsageError } from '../errors.ts';
import { nearest } from '../settings/nearest.ts';
import { booleanWord } from '../settings/quantities.ts';
import type { StatePath, Tristate } from '../settings/settings.ts';

/** Where a value was found. */
export interface Place {
  /** How the option is named in a message, with its equals sign: `--ram=`, or `Ram=` in a settings file. */
  readonly label: string;
  /** Absolute directory that relative paths start from; null where only absolute ones will do, in a settings file. */
  readonly cwd: string | null;
}

/** A UsageError whose message is one sentence: the option with its value, then `predicate`. */
export function refuse(place: Place, value: string, predicate: string, hint?: string): UsageError {
  return new UsageError(
    `${place.label}${shortened(value)} ${predicate}.`,
    hint === undefined ? {} : { hint },
  );
}

/** A value for a message: what is longer than a line is cut. */
export function shortened(value: string): string {
  return value.length <= 100 ? value : `${value.slice(0, 97)}...`;
}

/** Throws UsageError for what is no boolean. */
export function parseBoolean(value: string, place: Place): boolean {
  const result = booleanWord(value);
  if (result === undefined) throw refuse(place, value, 'is neither yes nor no');
  return result;
}

/** A boolean, or `auto`, for which the empty value stands too. */
export function parseTristate(value: string, place: Place): Tristate {
  if (value === '' || value.toLowerCase() === 'auto') return 'auto';
  const result = booleanWord(value);
  if (result === undefined) throw refuse(place, value, 'is neither yes, no nor auto');
  return result;
}

/** One of `words`, spelled exactly so. */
export function parseWord<Word extends string>(value: string, words: readonly Word[], place: Place): Word {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  const near = nearest(value, words);
  throw refuse(
    place,
    value,
    `is none of ${words.join(', ')}`,
    near === null ? undefined : `Did you mean ${near}?`,
  );
}

/** A whole decimal number within limits. */
export function parseWholeNumber(
  value: string,
  limits: { readonly least: number; readonly most: number },
  place: Place,
  hint?: string,
): number {
  const number = /^[0-9]{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= limits.least && number <= limits.most)) {
    throw refuse(place, value, `is no whole number from ${limits.least} to ${limits.most}`, hint);
  }
  return number;
}

const noZeroUuid = /^0{8}-?0{4}-?0{4}-?0{4}-?0{12}$/;

/** A UUID with dashes, or the same 32 hexadecimal digits without; gives the form with dashes in lower case. */
export function parseUuid(value: string, place: Place): string {
  if (noZeroUuid.test(value)) throw refuse(place, value, 'is all zero, which stands for no UUID at all');
  const parts =
    /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(value) ??
    /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/i.exec(value);
  if (parts === null) {
    throw refuse(
      place,
      value,
      'is no UUID',
      'Give 32 hexadecimal digits, with dashes after 8, 12, 16 and 20 of them or without any.',
    );
  }
  return parts.slice(1).join('-').toLowerCase();
}

/**
 * A machine name: a host name of at most 64 characters (hostname(7); labels by RFC 1123 section 2.1). It becomes a
 * directory, a unit name and the guest's name, so nothing else will do.
 */
export function parseMachineName(value: string, place: Place): string {
  if (value.length > 64) throw refuse(place, value, 'is longer than the 64 characters of a host name');
  if (!value.split('.').every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))) {
    throw refuse(
      place,
      value,
      'is no host name',
      'Use letters, digits and dashes, with dots between parts; a part begins and ends with a letter or digit and has at most 63 of them.',
    );
  }
  return value;
}

/**
 * An absolute path from what the user wrote. `..` stays, because what it means depends on symbolic links; `~` means
 * nothing here, the shell expands it.
 */
export function absolutePath(value: string, place: Place): string {
  if (value.includes('\0')) throw refuse(place, value, 'is no path because it holds a NUL character');
  if (place.cwd === null && !value.startsWith('/')) throw refuse(place, value, 'is no absolute path');
  const joined = value.startsWith('/') ? value : `${place.cwd}/${value}`;
  const parts = joined.split('/').filter((part) => part !== '' && part !== '.');
  return `/${parts.join('/')}`;
}

/** A path, or null for the empty value, which takes an earlier one back. */
export function parsePath(value: string, place: Place): string | null {
  return value === '' ? null : absolutePath(value, place);
}

/**
 * A path where words are possible too, so it must show a slash: `./name` for a file in the working directory.
 * `words` names the alternatives for the message.
 */
export function parsePathWithSlash(value: string, words: readonly string[], place: Place): string {
  if (value.includes('/')) return absolutePath(value, place);
  const near = nearest(value, words);
  throw refuse(
    place,
    value,
    `is none of ${words.join(', ')} and no path with a slash`,
    near !== null
      ? `Did you mean ${near}?`
      : place.cwd === null
        ? undefined
        : `For a file of that name write ${place.label}./${shortened(value)}`,
  );
}

/** `auto` or yes: beside the image; no or empty: nowhere; else a path. */
export function parseStatePath(value: string, place: Place): StatePath {
  if (value.toLowerCase() === 'auto') return 'auto';
  const word = value === '' ? false : booleanWord(value);
  if (word !== undefined) return word ? 'auto' : 'off';
  return { path: parsePathWithSlash(value, ['auto', 'yes', 'no'], place) };
}
