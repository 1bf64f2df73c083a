import { DBusBuffer, marshallBody, parseSignature, type SignatureNode } from 'dbus-next/parts';

/** Bytes that came are no message of D-Bus. */
export class MalformedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MalformedError';
  }
}

/** The value of a `v` in the body of a call. */
export interface Variant {
  readonly signature: string;
  readonly value: unknown;
}

/** Arrays in structs in variants; the specification allows 64 in all. */
const deepest = 64;

/**
 * The bytes of a body. Variants are given as Variant, dictionaries as objects, 64-bit numbers as bigint or number. Throws
 * TypeError for a value that does not fit its type.
 */
export function encodeBody(signature: string, body: readonly unknown[]): Buffer {
  try {
    const types = parseSignature(signature);
    if (types.length !== body.length) throw new Error(`${body.length} values for ${types.length} types`);
    return marshallBody(
      signature,
      types.map((type, index) => raw(type, body[index])),
    );
  } catch (error) {
    throw new TypeError(
      `The values do not fit the D-Bus signature ${signature}: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

/**
 * The values of a body: variants are what is in them, dictionaries objects, 64-bit numbers bigint, arrays of bytes
 * Buffer. Throws MalformedError.
 */
export function decodeBody(signature: string, body: Buffer, endian: number): unknown[] {
  return decode(() => {
    const reader = new BoundedReader(body, 0, endian);
    const values = reader.read(checked(signature));
    if (reader.pos !== body.length) throw new MalformedError('a body longer than its values');
    return values;
  });
}

/** The header fields of a message, by their codes. `fields` begins after the array's length. Throws MalformedError. */
export function decodeFields(fields: Buffer, endian: number): Map<number, unknown> {
  const [element] = parseSignature('(yv)');
  return decode(() => {
    // Sixteen bytes come before, so that the alignment is that of 0.
    const pairs = element && new BoundedReader(fields, 0, endian).readArray(element, fields.length);
    return new Map(pairs as [number, unknown][]);
  });
}

function decode<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) throw error;
    throw new MalformedError('values that cannot be read', { cause: error });
  }
}

/** As the package wants it: variants as pairs, dictionaries as arrays of pairs. */
function raw(type: SignatureNode, value: unknown): unknown {
  const [first, second] = type.child;
  if (type.type === 'v') {
    const { signature, value: inner } = value as Variant;
    const types = parseSignature(signature);
    const [only] = types;
    if (only === undefined || types.length !== 1) throw new Error(`a variant of the types "${signature}"`);
    return [signature, raw(only, inner)];
  }
  if (type.type === 'a' && first?.type === '{' && !Array.isArray(value)) {
    return Object.entries(value as object).map((pair) => raw(first, pair));
  }
  if (type.type === 'a' && first !== undefined && Array.isArray(value)) {
    return value.map((item) => raw(first, item));
  }
  if ((type.type === '(' || (type.type === '{' && second !== undefined)) && Array.isArray(value)) {
    if (value.length !== type.child.length) throw new Error(`a struct of ${value.length} values`);
    return type.child.map((child, index) => raw(child, value[index]));
  }
  return value;
}

/** A struct of nothing takes no bytes, so an array of them would have no end. */
function checked(signature: string): string {
  if (signature.length > 255 || /\(\)|\{\}/.test(signature)) {
    throw new MalformedError(`the signature "${signature}"`);
  }
  return signature;
}

/** The package's reader, with a look at where the bytes end. */
class BoundedReader extends DBusBuffer {
  #depth = 0;

  override readTree(tree: SignatureNode): unknown {
    if (this.#depth === deepest) throw new MalformedError(`values nested more than ${deepest} deep`);
    this.#depth += 1;
    const value = super.readTree(tree);
    this.#depth -= 1;
    this.#check(0);
    return value;
  }

  override readArray(element: SignatureNode, bytes: number): unknown {
    this.#check(bytes);
    const value = super.readArray(element, bytes);
    this.#check(0);
    // A plain object even for a key like __proto__.
    return element.type === '{' ? Object.fromEntries(value as [string, unknown][]) : value;
  }

  override readString(bytes: number): string {
    this.#check(bytes + 1);
    return super.readString(bytes);
  }

  override readSimpleType(type: string): unknown {
    if (type !== 'x' && type !== 't') return super.readSimpleType(type);
    // The package takes the halves in the wrong order from a big-endian peer.
    this.align(3);
    const little = this.endian === 'l'.charCodeAt(0);
    const start = this.pos;
    this.pos += 8;
    if (type === 't') return little ? this.buffer.readBigUInt64LE(start) : this.buffer.readBigUInt64BE(start);
    return little ? this.buffer.readBigInt64LE(start) : this.buffer.readBigInt64BE(start);
  }

  override readVariant(): unknown {
    const types = parseSignature(checked(String(this.readSimpleType('g'))));
    const [only] = types;
    if (only === undefined || types.length !== 1)
      throw new MalformedError('a variant of no or several types');
    return this.readTree(only);
  }

  #check(bytes: number): void {
    if (this.pos + bytes > this.buffer.length)
      throw new MalformedError('a value that goes beyond its message');
  }
}
