import { type Place, refuse } from './values.ts';

/** Longest unit name: UNIT_NAME_MAX of systemd. */
const nameLimit = 255;

/** What a unit name may end in (systemd.unit(5)). */
const unitSuffix = /\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

/**
 * The name of a slice from what the user wrote, as systemd's tools do it: a slash becomes a dash, a character that no
 * unit name has its escape (systemd-escape(1)), and `.slice` is added where no suffix of a unit stands. Throws
 * UsageError for what is no slice then (systemd.slice(5)): dashes separate levels, so that none of them may be empty.
 */
export function parseSlice(value: string, place: Place): string {
  if (value.includes('\0')) throw refuse(place, value, 'holds a NUL character');
  const escaped = value
    .replaceAll('/', '-')
    .replace(/[^A-Za-z0-9:_.\\@-]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
    );
  const name = unitSuffix.test(escaped) ? escaped : `${escaped}.slice`;
  if (!name.endsWith('.slice')) {
    throw refuse(place, value, 'is a unit of another kind than a slice', 'Its name must end in .slice.');
  }
  if (name.length > nameLimit) {
    throw refuse(place, value, `is longer than the ${nameLimit} characters of a unit name`);
  }
  const levels = name.slice(0, -'.slice'.length);
  if (levels !== '-' && !/^(?!-)(?!.*--)[^@]+(?<!-)$/.test(levels)) {
    throw refuse(
      place,
      value,
      'is no name of a slice',
      'Dashes stand between the levels, as in machine-build.slice; none is empty, and there is no @.',
    );
  }
  return name;
}
