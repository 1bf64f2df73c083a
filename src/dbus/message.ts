import { marshallBody } from 'dbus-next/parts';
import { decodeFields, encodeBody, MalformedError } from './values.ts';

/** D-Bus specification, "Message Types". */
export const messageType = { call: 1, return: 2, error: 3, signal: 4 } as const;

/** D-Bus specification, "Header Fields", with the type that each has. */
const fieldCodes = {
  path: [1, 'o'],
  interface: [2, 's'],
  member: [3, 's'],
  error: [4, 's'],
  replySerial: [5, 'u'],
  destination: [6, 's'],
  sender: [7, 's'],
  signature: [8, 'g'],
} as const;

const littleEndian = 'l'.charCodeAt(0);
const bigEndian = 'B'.charCodeAt(0);
const headerBytes = 16;

export interface Message {
  readonly type: number;
  /** 0, which no call has, when it is no reply. */
  readonly replySerial: number;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly error: string;
  readonly sender: string;
  readonly signature: string;
  /** For decodeBody. */
  readonly body: Buffer;
  readonly endian: number;
}

/** The bytes of a method call. Throws TypeError for values that do not fit the signature. */
export function encodeCall(
  serial: number,
  call: {
    readonly destination: string;
    readonly path: string;
    readonly interface: string;
    readonly member: string;
    readonly signature?: string;
    readonly body?: readonly unknown[];
  },
): Buffer {
  const signature = call.signature ?? '';
  const body = encodeBody(signature, call.body ?? []);
  const texts = {
    path: call.path,
    interface: call.interface,
    member: call.member,
    destination: call.destination,
    signature,
  };
  const fields = Object.entries(texts)
    .filter(([, text]) => text !== '')
    .map(([name, text]) => {
      const [code, type] = fieldCodes[name as keyof typeof texts];
      return [code, [type, text]];
    });
  const header = marshallBody('yyyyuua(yv)', [
    littleEndian,
    messageType.call,
    0,
    1,
    body.length,
    serial,
    fields,
  ]);
  return Buffer.concat([header, Buffer.alloc(-header.length & 7), body]);
}

/** Cuts a stream into messages. Holds at most one message of `limit` bytes. */
export class MessageFramer {
  readonly #limit: number;
  #pieces: Buffer[] = [];
  #size = 0;
  #needed = headerBytes;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes of the message that has not ended yet. */
  get pending(): number {
    return this.#size;
  }

  /** The messages that `chunk` completes. Throws MalformedError; nothing can be read after that. */
  *push(chunk: Buffer): Generator<Message, void, void> {
    this.#pieces.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= this.#needed) {
      const bytes = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
      this.#pieces = [bytes];
      const { endian, fields, body } = readSizes(bytes);
      const start = headerBytes + Math.ceil(fields / 8) * 8;
      const total = start + body;
      if (total > this.#limit) throw new MalformedError(`a message of ${total} bytes`);
      this.#needed = total;
      if (this.#size < total) return;
      this.#pieces = [bytes.subarray(total)];
      this.#size -= total;
      this.#needed = headerBytes;
      yield readMessage(bytes, endian, headerBytes + fields, bytes.subarray(start, total));
    }
  }
}

function readSizes(bytes: Buffer): { endian: number; fields: number; body: number } {
  const endian = bytes.readUInt8(0);
  if ((endian !== littleEndian && endian !== bigEndian) || bytes.readUInt8(3) !== 1) {
    throw new MalformedError(`a message that begins with the bytes ${bytes.toString('hex', 0, 4)}`);
  }
  const [body, fields] =
    endian === littleEndian
      ? [bytes.readUInt32LE(4), bytes.readUInt32LE(12)]
      : [bytes.readUInt32BE(4), bytes.readUInt32BE(12)];
  return { endian, fields, body };
}

function readMessage(bytes: Buffer, endian: number, fieldsEnd: number, body: Buffer): Message {
  const fields = decodeFields(bytes.subarray(headerBytes, fieldsEnd), endian);
  const text = (name: Exclude<keyof typeof fieldCodes, 'replySerial'>): string => {
    const value = fields.get(fieldCodes[name][0]) ?? '';
    if (typeof value !== 'string') throw new MalformedError(`a header field "${name}" that is no text`);
    return value;
  };
  const replySerial = fields.get(fieldCodes.replySerial[0]);
  return {
    type: bytes.readUInt8(1),
    replySerial: typeof replySerial === 'number' ? replySerial : 0,
    path: text('path'),
    interface: text('interface'),
    member: text('member'),
    error: text('error'),
    sender: text('sender'),
    signature: text('signature'),
    body,
    endian,
  };
}
