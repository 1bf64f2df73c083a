import { constants } from 'node:os';
import { booleanWord, bytesOf, timeSpanOf } from '../../settings/quantities.ts';
import { type Kind, kind, orEmpty, renamed } from './kind.ts';

/** What the bus has for "no limit" and for "not set" where a number is 64 bits wide. */
export const most = 2n ** 64n - 1n;
const mostOf32 = 2 ** 32 - 1;

export const text = kind('s', 'text', (value) => value);
export const boolean = kind('b', 'yes or no', (value) => booleanWord(value) ?? null);

/** One of a few words. */
export function word(...words: readonly string[]): Kind {
  const names = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  return kind('s', names, (value) => (words.includes(value) ? value : null));
}

/** A whole number within limits; null for anything else. */
export function wholeNumber(value: string, least: bigint, limit: bigint): bigint | null {
  const number = /^[0-9]{1,20}$/.test(value) ? BigInt(value) : null;
  return number !== null && number >= least && number <= limit ? number : null;
}

/** An exit status, or nothing for the one of the unit. */
export const exitStatus = orEmpty(
  kind('i', 'a whole number from 0 to 255', (value) => {
    const number = wholeNumber(value, 0n, 255n);
    return number === null ? null : Number(number);
  }),
  'i',
  -1,
);

/** A weight of a control group; `idle` is the lowest class of all and only processors have it. */
export function weight(least: bigint, limit: bigint, { idle = false } = {}): Kind {
  const expected = `a whole number from ${least} to ${limit}${idle ? ', or idle' : ''}`;
  const read = (value: string): bigint | null =>
    idle && value === 'idle' ? 0n : wholeNumber(value, least, limit);
  return orEmpty(kind('t', expected, read), 't', most);
}

/** Microseconds of a time span; null for what is none, or is longer than 64 bits can say. */
export function microseconds(value: string): bigint | null {
  const span = timeSpanOf(value);
  if (span === null) return null;
  if (span === Number.POSITIVE_INFINITY) return most;
  return span < Number(most) ? BigInt(Math.round(span)) : null;
}

/** Names that end in `Sec` end in `USec` on the bus. */
export const timeSpan = renamed(
  kind('t', 'a time span such as 90 or 1min 30s, or infinity', microseconds),
  (name) => name.replace(/Sec$/, 'USec'),
);

/** A time span that is infinite when it is empty. */
export const timeSpanOrNone: Kind = {
  expected: timeSpan.expected,
  read: (name, value) => timeSpan.read(name, value === '' ? 'infinity' : value),
};

/** Hundredths of a percent from a number with %, per mille or per ten thousand; null for what is none of these. */
function permyriad(value: string): number | null {
  const [, percent] = /^([0-9]{1,7}(?:\.[0-9]{1,2})?)%$/.exec(value) ?? [];
  if (percent !== undefined) return Math.round(Number(percent) * 100);
  const [, mille] = /^([0-9]{1,7}(?:\.[0-9])?)\u2030$/.exec(value) ?? [];
  if (mille !== undefined) return Math.round(Number(mille) * 10);
  const [, parts] = /^([0-9]{1,7})\u2031$/.exec(value) ?? [];
  return parts === undefined ? null : Number(parts);
}

/** A part of a whole, where 2^32 - 1 is all of it; null above 100 %. */
function scale(value: string): number | null {
  const parts = permyriad(value);
  return parts === null || parts > 10_000 ? null : Math.floor((parts * mostOf32 + 5_000) / 10_000);
}

/** A percentage up to 100 %. */
export const percentage = kind('u', 'a percentage from 0% to 100%', scale);

/**
 * A limit: a number, `infinity`, or a percentage, which goes under a name of its own (`MemoryMaxScale`) so that the
 * manager relates it to what this host has. The empty value gives `empty`.
 */
function limit(expected: string, read: (value: string) => bigint | null, empty: bigint): Kind {
  return {
    expected,
    read(name, value) {
      const part = scale(value);
      if (part !== null) return { name: `${name}Scale`, signature: 'u', value: part };
      const number = value === '' ? empty : value === 'infinity' ? most : read(value);
      return number === null || number > most ? null : { name, signature: 't', value: number };
    },
  };
}

const memory = 'bytes with a suffix K, M, G or T, a percentage up to 100%, or infinity';

/** An upper limit for memory, without one when empty. */
export const memoryMost = limit(memory, bytesOf, most);
/** Memory that is protected, none when empty. */
export const memoryLeast = limit(memory, bytesOf, 0n);
/** A number of processes. */
export const tasksMost = limit(
  'a whole number, a percentage up to 100%, or infinity',
  (value) => wholeNumber(value, 1n, most),
  most,
);

/** Processor time in percent of one processor, on the bus microseconds a second; no limit when empty. */
export const quota: Kind = {
  expected: 'a percentage of one processor above 0%, such as 150%',
  read(_name, value) {
    const parts = value === '' ? null : permyriad(value);
    if (value !== '' && (parts === null || parts === 0)) return null;
    return {
      name: 'CPUQuotaPerSecUSec',
      signature: 't',
      value: parts === null ? most : BigInt(parts) * 100n,
    };
  },
};

/** The first real-time signal that programs have; the C library keeps 32 and 33 to itself (signal(7)). */
const [firstRealTime, lastRealTime] = [34, 64];

function signalNumber(value: string): number | null {
  const plain = /^[0-9]{1,2}$/.test(value) ? Number(value) : 0;
  if (plain >= 1 && plain <= lastRealTime) return plain;
  const name = value.replace(/^SIG/, '');
  const [, edge, offset = '0'] = /^RT(MIN|MAX)(?:[+-]([0-9]{1,2}))?$/.exec(name) ?? [];
  if (edge !== undefined) {
    const number = edge === 'MIN' ? firstRealTime + Number(offset) : lastRealTime - Number(offset);
    const sign = edge === 'MIN' ? '+' : '-';
    const fits = name === `RT${edge}` || name.includes(sign);
    return fits && number >= firstRealTime && number <= lastRealTime ? number : null;
  }
  const known = Object.entries(constants.signals).find(([signal]) => signal === `SIG${name}`);
  return known?.[1] ?? null;
}

/** A signal by its name, with or without SIG, or its number. */
export const signal = kind('i', 'a signal such as SIGTERM or 15', signalNumber);
