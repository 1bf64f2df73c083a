/**
 * A property of a unit as D-Bus has it: `value` in the types of `signature`, 64-bit numbers as bigint or number, structs
 * and arrays as arrays.
 */
export interface UnitProperty {
  readonly name: string;
  readonly signature: string;
  readonly value: unknown;
}
