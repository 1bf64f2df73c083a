import type { WindowSize } from '../console/hub.ts';
import { FramingError } from '../sys/framing.ts';

/*
 * What is spoken over a connection behind the reply to org.vmspawn.Console.Attach, both ways: frames of one byte with the
 * type, four with the length of the payload (big endian), and the payload.
 */

/** Bytes of a payload, at most. */
export const frameLimit = 64 * 1024;
const headerLength = 5;

const types = { input: 0x69, size: 0x73, output: 0x6f, stolen: 0x74, end: 0x65 } as const;

/** How a machine has ended: its exit status as that of vmspawn(1), and what went wrong, empty after a clean end. */
export interface MachineEnd {
  readonly status: number;
  readonly text: string;
}

/** `input`: typed by the user. `size`: of the user's window, 1 to 65535 each. */
export type ClientFrame =
  | { readonly type: 'input'; readonly bytes: Buffer }
  | { readonly type: 'size'; readonly size: WindowSize };

/** `stolen`: somebody else writes from now on. `end`: the machine has ended, and nothing follows. */
export type ServerFrame =
  | { readonly type: 'output'; readonly bytes: Buffer }
  | { readonly type: 'stolen' }
  | { readonly type: 'end'; readonly end: MachineEnd };

/** Input or output as frames, as many as it takes. */
export function* dataFrames(type: 'input' | 'output', bytes: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += frameLimit)
    yield frame(type, bytes.subarray(at, at + frameLimit));
}

export function sizeFrame({ rows, columns }: WindowSize): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt16BE(rows, 0);
  payload.writeUInt16BE(columns, 2);
  return frame('size', payload);
}

export function stolenFrame(): Buffer {
  return frame('stolen', Buffer.alloc(0));
}

/** A text that is too long for a frame is cut. */
export function endFrame({ status, text }: MachineEnd): Buffer {
  return frame('end', Buffer.concat([Buffer.of(status & 0xff), Buffer.from(text)]).subarray(0, frameLimit));
}

function frame(type: keyof typeof types, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headerLength + payload.length);
  bytes[0] = types[type];
  bytes.writeUInt32BE(payload.length, 1);
  bytes.set(payload, headerLength);
  return bytes;
}

/** Reads what a client sends, cut in whatever way. */
export class ClientFrames {
  readonly #reader = new FrameReader();

  /** The frames that are complete now. Throws FramingError. */
  push(chunk: Buffer): ClientFrame[] {
    return this.#reader.push(chunk).map(({ type, payload }) => {
      if (type === types.input) return { type: 'input', bytes: payload };
      if (type !== types.size || payload.length !== 4) throw unexpected(type, payload);
      const size = { rows: payload.readUInt16BE(0), columns: payload.readUInt16BE(2) };
      if (size.rows === 0 || size.columns === 0) throw unexpected(type, payload);
      return { type: 'size', size };
    });
  }
}

/** Reads what a server sends, cut in whatever way. */
export class ServerFrames {
  readonly #reader = new FrameReader();

  /** The frames that are complete now. Throws FramingError. */
  push(chunk: Buffer): ServerFrame[] {
    return this.#reader.push(chunk).map(({ type, payload }) => {
      if (type === types.output) return { type: 'output', bytes: payload };
      if (type === types.stolen && payload.length === 0) return { type: 'stolen' };
      const [status] = payload;
      if (type !== types.end || status === undefined) throw unexpected(type, payload);
      return { type: 'end', end: { status, text: payload.toString('utf8', 1) } };
    });
  }
}

function unexpected(type: number, payload: Buffer): FramingError {
  return new FramingError(`a frame of type ${type} with ${payload.length} bytes`);
}

interface RawFrame {
  readonly type: number;
  readonly payload: Buffer;
}

/** Holds at most one frame that is not complete. */
class FrameReader {
  readonly #header = Buffer.alloc(headerLength);
  #headerFilled = 0;
  /** Of the frame whose header is complete. */
  #payload: Buffer | null = null;
  #filled = 0;

  push(chunk: Buffer): RawFrame[] {
    const frames: RawFrame[] = [];
    let at = 0;
    for (;;) {
      if (this.#payload === null) {
        const copied = chunk.copy(this.#header, this.#headerFilled, at);
        this.#headerFilled += copied;
        at += copied;
        if (this.#headerFilled < headerLength) return frames;
        const length = this.#header.readUInt32BE(1);
        if (length > frameLimit) throw new FramingError(`a frame of ${length} bytes`);
        this.#payload = Buffer.allocUnsafe(length);
        this.#filled = 0;
      }
      const copied = chunk.copy(this.#payload, this.#filled, at);
      this.#filled += copied;
      at += copied;
      if (this.#filled < this.#payload.length) return frames;
      frames.push({ type: this.#header[0] ?? 0, payload: this.#payload });
      this.#payload = null;
      this.#headerFilled = 0;
    }
  }
}
