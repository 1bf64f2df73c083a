import { FramingError } from './framing.ts';

export type JsonObject = { readonly [member: string]: unknown };

/** An asynchronous message of QEMU, e.g. SHUTDOWN. */
export interface QmpEvent {
  readonly name: string;
  readonly data: JsonObject;
  /** Milliseconds since the epoch by QEMU's clock; null where QEMU could not tell. */
  readonly timestamp: number | null;
}

export interface QmpGreeting {
  readonly version: readonly [number, number, number];
  /** What the packager added to the version: `Debian 1:7.2+dfsg-7`, or nothing. */
  readonly package: string;
  readonly capabilities: readonly string[];
}

/** One line from QEMU. A reply without an id answers a line that QEMU could not parse. */
export type QmpMessage =
  | { readonly type: 'greeting'; readonly greeting: QmpGreeting }
  | { readonly type: 'return'; readonly id: unknown; readonly value: unknown }
  | { readonly type: 'error'; readonly id: unknown; readonly class: string; readonly description: string }
  | { readonly type: 'event'; readonly event: QmpEvent };

/** Reads one line of the QEMU machine protocol (docs/interop/qmp-spec.txt). Throws FramingError for anything else. */
export function parseMessage(line: string): QmpMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new FramingError(`a line that is not JSON, ${excerpt(line)}`, { cause: error });
  }
  const message = isObject(value) ? read(value) : null;
  if (message === null) throw new FramingError(`a line that is no message of QMP, ${excerpt(line)}`);
  return message;
}

function read(value: JsonObject): QmpMessage | null {
  if (Object.hasOwn(value, 'return')) return { type: 'return', id: value['id'], value: value['return'] };
  if (Object.hasOwn(value, 'error')) {
    const error = value['error'];
    if (!isObject(error) || typeof error['class'] !== 'string' || typeof error['desc'] !== 'string')
      return null;
    return { type: 'error', id: value['id'], class: error['class'], description: error['desc'] };
  }
  if (Object.hasOwn(value, 'event')) {
    const { event: name, data } = value;
    if (typeof name !== 'string' || (data !== undefined && !isObject(data))) return null;
    return { type: 'event', event: { name, data: data ?? {}, timestamp: timestamp(value['timestamp']) } };
  }
  if (Object.hasOwn(value, 'QMP')) {
    const greeting = readGreeting(value['QMP']);
    return greeting === null ? null : { type: 'greeting', greeting };
  }
  return null;
}

function readGreeting(value: unknown): QmpGreeting | null {
  if (!isObject(value)) return null;
  const version = readVersion(value['version']);
  if (version === null) return null;
  const capabilities = Array.isArray(value['capabilities'])
    ? value['capabilities'].filter((name) => typeof name === 'string')
    : [];
  return { ...version, capabilities };
}

/** The value of query-version, which the greeting has too; null if it is none. */
export function readVersion(value: unknown): Pick<QmpGreeting, 'version' | 'package'> | null {
  if (!isObject(value)) return null;
  const { qemu, package: packaged } = value;
  if (!isObject(qemu)) return null;
  const { major, minor, micro } = qemu;
  if (!isCount(major) || !isCount(minor) || !isCount(micro)) return null;
  return { version: [major, minor, micro], package: typeof packaged === 'string' ? packaged : '' };
}

/** QEMU writes -1 for both parts when its clock failed. */
function timestamp(value: unknown): number | null {
  if (!isObject(value)) return null;
  const { seconds, microseconds } = value;
  if (!isCount(seconds) || !isCount(microseconds)) return null;
  return seconds * 1000 + Math.floor(microseconds / 1000);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The start of a line for an error message, in quotes. */
export function excerpt(line: string): string {
  return JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}...` : line);
}
