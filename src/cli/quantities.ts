import { longestTimer } from '../settings/defaults.ts';
import { bytesOf, timeSpanOf } from '../settings/quantities.ts';
import type { Settings } from '../settings/settings.ts';
import { type Place, refuse } from './values.ts';

const mebibyte = 1024n ** 2n;
const byteHint = 'Give a number with one of the suffixes K, M, G, T, P and E, for example 512M or 1.5G.';

function parseMemory(text: string, value: string, what: string, place: Place): number {
  const bytes = bytesOf(text);
  if (bytes === null) throw refuse(place, value, `has ${what} that is no number of bytes`, byteHint);
  if (bytes === 0n) throw refuse(place, value, `has ${what} of zero`, byteHint);
  const rounded = ((bytes + mebibyte - 1n) / mebibyte) * mebibyte;
  if (rounded > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw refuse(place, value, `has ${what} of 8 PiB or more, which no machine can have`);
  }
  return Number(rounded);
}

/** The most memory modules that QEMU's ACPI tables describe (ACPI_MAX_RAM_SLOTS). */
const mostSlots = 256;

/**
 * `SIZE[:MAX[:SLOTS]]`, both sizes rounded up to MiB. Room for more memory (MAX above SIZE) comes with one slot unless
 * SLOTS says otherwise; MAX equal to SIZE is no room, and QEMU refuses slots with it.
 */
export function parseRam(value: string, place: Place): Settings['ram'] {
  const fields = value.split(':');
  const [sizeText = '', maxText = '', slotsText = ''] = fields;
  if (fields.length > 3) throw refuse(place, value, 'has more than the three fields SIZE:MAX:SLOTS');
  const size = parseMemory(sizeText, value, 'a size', place);
  if (maxText === '') {
    if (slotsText !== '') {
      throw refuse(
        place,
        value,
        'has SLOTS without MAX',
        'Slots are for memory between SIZE and MAX: give both.',
      );
    }
    return { size, max: null, slots: null };
  }
  const max = parseMemory(maxText, value, 'a MAX', place);
  if (max < size) throw refuse(place, value, 'has a MAX that is smaller than the size');
  const slots = slotsText === '' ? 1 : /^[0-9]{1,4}$/.test(slotsText) ? Number(slotsText) : 0;
  if (slots < 1 || slots > mostSlots) {
    throw refuse(place, value, `has a SLOTS field that is no whole number from 1 to ${mostSlots}`);
  }
  return max === size ? { size, max: null, slots: null } : { size, max, slots };
}

/**
 * A time span as systemd.time(7) has it, in milliseconds rounded up, at most what one timer holds; null for `infinity`.
 */
export function parseTimeSpan(value: string, place: Place): number | null {
  const microseconds = timeSpanOf(value);
  if (microseconds === null) {
    throw refuse(
      place,
      value,
      'is no time span',
      'Give seconds (90) or units that add up (1min 30s), or infinity.',
    );
  }
  if (microseconds === Number.POSITIVE_INFINITY) return null;
  const milliseconds = Math.ceil(microseconds / 1000);
  if (milliseconds > longestTimer) {
    throw refuse(place, value, 'is longer than 24 days', 'Use infinity to wait without an end.');
  }
  return milliseconds;
}
