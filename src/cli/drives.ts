import { diskTypes, imageFormats } from '../settings/defaults.ts';
import { bytesOf } from '../settings/quantities.ts';
import type { ExtraDrive } from '../settings/settings.ts';
import { absolutePath, type Place, refuse } from './values.ts';

/** File systems and drives count in pages of this many bytes. */
const growUnit = 4096n;

/** The word before the first colon of `text` where it is one of `words`. */
function prefix<Word extends string>(text: string, words: readonly Word[]): Word | null {
  const word = text.slice(0, text.indexOf(':'));
  return words.find((candidate) => candidate === word && text.includes(':')) ?? null;
}

/**
 * `[FORMAT:][TYPE:]PATH`: the prefixes in any order; the path begins with the first word that is neither. A path that begins
 * like a prefix is written with `./` before it. Throws UsageError.
 */
export function parseExtraDrive(value: string, place: Place): ExtraDrive {
  let format: ExtraDrive['format'] = null;
  let type: ExtraDrive['type'] = null;
  for (let rest = value; ; ) {
    const [formatWord, typeWord] = [prefix(rest, imageFormats), prefix(rest, diskTypes)];
    const word = formatWord ?? typeWord;
    if (word === null) {
      if (rest === '') throw refuse(place, value, 'names no drive', 'Write [FORMAT:][TYPE:]PATH.');
      return { path: absolutePath(rest, place), format, type };
    }
    if (formatWord === null ? type !== null : format !== null) {
      throw refuse(place, value, `says two ${formatWord === null ? 'types' : 'formats'}`);
    }
    format ??= formatWord;
    type ??= typeWord;
    rest = rest.slice(word.length + 1);
  }
}

/** Bytes that an image is to have, rounded up to 4096; null for the empty value and for zero. Throws UsageError. */
export function parseImageSize(value: string, place: Place): number | null {
  if (value === '') return null;
  const bytes = bytesOf(value);
  if (bytes === null) {
    throw refuse(
      place,
      value,
      'is no number of bytes',
      'Give a number with one of the suffixes K, M, G, T, P and E, for example 20G.',
    );
  }
  const rounded = ((bytes + growUnit - 1n) / growUnit) * growUnit;
  if (rounded > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse(place, value, 'is larger than a disk can be');
  return rounded === 0n ? null : Number(rounded);
}
