import { BusProtocolError } from './errors.ts';

/** `value` as a string. `what` tells which value it is in the BusProtocolError that is thrown otherwise. */
export function asString(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw unexpected(what, 'a string', value);
}

/** `value` as a number of up to 32 bits; throws as asString does. */
export function asNumber(value: unknown, what: string): number {
  if (typeof value === 'number') return value;
  throw unexpected(what, 'a number', value);
}

/** Whether it is what decodeBody makes of a dictionary. */
export function isDictionary(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}

function unexpected(what: string, expected: string, value: unknown): BusProtocolError {
  const type = value === undefined ? 'missing' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
  return new BusProtocolError(`${what} is ${type} where ${expected} is due`);
}
