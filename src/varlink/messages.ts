import { VarlinkProtocolError } from './errors.ts';
import { decodeUtf8, FramingError } from './unix.ts';

/** A JSON object as it came: nothing is known of its values. Numbers beyond 2^53 are rounded. */
export type JsonObject = { readonly [name: string]: unknown };

/** What a peer may make us hold. */
export interface VarlinkLimits {
  /** Bytes of a message. */
  readonly message: number;
  /** Objects and arrays in each other. */
  readonly depth: number;
}

export interface CallMessage {
  readonly method: string;
  readonly parameters: JsonObject;
  readonly more: boolean;
  readonly oneway: boolean;
  readonly upgrade: boolean;
}

export interface ReplyMessage {
  readonly parameters: JsonObject;
  readonly continues: boolean;
  readonly error: string | null;
}

/** A message as it goes over the wire: JSON, then NUL. Throws TypeError for what JSON cannot say. */
export function encode(message: object): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\0`);
}

/** Reads a call. Throws VarlinkProtocolError: there is no answer to what is no call, the connection is to be closed. */
export function readCall(bytes: Buffer, depth: number): CallMessage {
  const message = readObject(bytes, depth, ['method', 'parameters', 'more', 'oneway', 'upgrade']);
  const method = member(message, 'method');
  if (typeof method !== 'string') throw new VarlinkProtocolError('A call without a method');
  const [more, oneway, upgrade] = [flag(message, 'more'), flag(message, 'oneway'), flag(message, 'upgrade')];
  if (Number(more) + Number(oneway) + Number(upgrade) > 1) {
    throw new VarlinkProtocolError('A call with more than one of `more`, `oneway` and `upgrade`');
  }
  return { method, parameters: parameters(message), more, oneway, upgrade };
}

/** Reads a reply. Throws VarlinkProtocolError. */
export function readReply(bytes: Buffer, depth: number): ReplyMessage {
  const message = readObject(bytes, depth, ['parameters', 'continues', 'error']);
  const error = member(message, 'error') ?? null;
  if (error !== null && typeof error !== 'string')
    throw new VarlinkProtocolError('An `error` that is no text');
  const continues = flag(message, 'continues');
  if (continues && error !== null) throw new VarlinkProtocolError('An error that continues');
  return { parameters: parameters(message), continues, error };
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of an own member: what is called like something of Object.prototype is not there unless it came. */
export function member(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/**
 * UTF-8 and JSON to an object, whose members are known ones or an extension of a vendor, which is let be: its name has
 * a dot. Of two members with one name the last one counts.
 */
function readObject(bytes: Buffer, depth: number, known: readonly string[]): JsonObject {
  let value: unknown;
  try {
    checkDepth(bytes, depth);
    value = JSON.parse(decodeUtf8(bytes, 'message'));
  } catch (error) {
    if (error instanceof VarlinkProtocolError) throw error;
    const words = error instanceof FramingError ? error.message : 'a message that is not JSON';
    throw new VarlinkProtocolError(`The peer sent ${words}`, { cause: error });
  }
  if (!isObject(value)) throw new VarlinkProtocolError('The peer sent a message that is no object');
  for (const name of Object.keys(value)) {
    if (!known.includes(name) && !name.includes('.')) {
      throw new VarlinkProtocolError(
        `The peer sent a message with an unknown member ${JSON.stringify(name.slice(0, 100))}`,
      );
    }
  }
  return value;
}

function parameters(message: JsonObject): JsonObject {
  const value = member(message, 'parameters') ?? {};
  if (!isObject(value)) throw new VarlinkProtocolError('The peer sent `parameters` that are no object');
  return value;
}

function flag(message: JsonObject, name: string): boolean {
  const value = member(message, name) ?? false;
  if (typeof value !== 'boolean') {
    throw new VarlinkProtocolError(
      `The peer sent a message with a \`${name}\` that is neither true nor false`,
    );
  }
  return value;
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Before the text is parsed: what walks through the value later is recursive. */
function checkDepth(bytes: Buffer, limit: number): void {
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      for (at += 1; at < bytes.length && bytes[at] !== QUOTE; at += 1) if (bytes[at] === BACKSLASH) at += 1;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > limit)
        throw new VarlinkProtocolError(`The peer sent a message nested deeper than ${limit}`);
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth -= 1;
    }
  }
}
