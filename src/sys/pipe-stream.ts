import { closeSync, readSync, writeSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { closeStream } from './close-stream.ts';
import { pipeSize, setNonBlocking } from './descriptors.ts';
import { codeOf } from './error-code.ts';
import { inPoll, koffi, type PollHandle } from './koffi.ts';

const READ_SIZE = 64 * 1024;
/** Bytes that a pipe should hold for the whole time of a rest; a smaller one is read accordingly sooner. */
const ROOM = 1024 * 1024;
/** Milliseconds of the first rest in a flood. */
const FIRST_REST = 2;
/** Milliseconds without anything to read after which something else begins. */
const SILENCE = 3;

type WriteCallback = (error?: Error | null) => void;

export interface PipeStreamOptions {
  /** End of a pipe that is read, and end of another one that is written to. */
  readonly input: number;
  readonly output: number;
  /**
   * Milliseconds at most for which small pieces that come one right after the other are left in the pipe: each read costs as
   * much as thousands of bytes. The longer it goes on, the longer they are left; the first piece after a silence, or after
   * something was written, is read at once, and so are large amounts.
   */
  readonly gather?: number;
}

/** What all streams read into, before a copy of the right size is handed on. */
let scratch: Buffer | undefined;

/** Open streams: a poll handle that is collected stops polling. */
const open = new Set<PipeStream>();

/**
 * A duplex byte stream over two pipes. Takes both descriptors over; destroy() or disposal closes them. Ordinary stream
 * rules hold: nothing is read while the reader is paused, write() says when to wait for 'drain', the end of all writers is
 * 'end', a failed system call is 'error'. What is written when nobody reads any more is thrown away: an error would
 * destroy the stream, together with what was written to us last. Throws SystemCallError.
 */
export class PipeStream extends Duplex {
  readonly #input: number;
  readonly #output: number;
  readonly #gather: number;
  #inputHandle: PollHandle | undefined;
  #outputHandle: PollHandle | undefined;
  #reading = false;
  #unfinished: (() => void) | undefined;
  #abandon: WriteCallback | undefined;
  #lastRead = Number.NEGATIVE_INFINITY;
  /** Bytes read since the pipe was empty. */
  #amount = 0;
  #nextRest = FIRST_REST;
  #resting: NodeJS.Timeout | undefined;

  constructor({ input, output, gather = 0 }: PipeStreamOptions) {
    super();
    this.#input = input;
    this.#output = output;
    this.#gather = Math.floor(gather * Math.min(1, pipeSize(input) / ROOM));
    setNonBlocking(input);
    setNonBlocking(output);
    open.add(this);
  }

  override _read(): void {
    if (this.#reading) return;
    this.#reading = true;
    if (this.#resting === undefined) this.#watch();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#expect();
    let rest = chunk;
    const send = () => {
      try {
        while (rest.length > 0) rest = rest.subarray(writeSync(this.#output, rest));
      } catch (error) {
        if (codeOf(error) === 'EAGAIN') {
          this.#unfinished = send;
          this.#abandon = callback;
          this.#outputHandle ??= koffi().node.poll(this.#output, { writable: true }, this.#writable);
          this.#outputHandle.start({ writable: true }, this.#writable);
          return;
        }
        this.#finishWrite(callback, codeOf(error) === 'EPIPE' ? null : asError(error));
        return;
      }
      this.#finishWrite(callback, null);
    };
    send();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    clearTimeout(this.#resting);
    this.#inputHandle?.close();
    this.#outputHandle?.close();
    this.#inputHandle = undefined;
    this.#outputHandle = undefined;
    open.delete(this);
    const abandon = this.#abandon;
    this.#unfinished = undefined;
    this.#abandon = undefined;
    closeSync(this.#input);
    closeSync(this.#output);
    abandon?.(error ?? new Error('The stream was closed before everything was written'));
    callback(error);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await closeStream(this);
  }

  #finishWrite(callback: WriteCallback, error: Error | null): void {
    if (this.#unfinished !== undefined) {
      this.#unfinished = undefined;
      this.#abandon = undefined;
      this.#outputHandle?.stop();
    }
    callback(error);
  }

  #watch(): void {
    if (this.destroyed) return;
    if (this.#inputHandle === undefined) {
      this.#inputHandle = koffi().node.poll(this.#input, { readable: true }, this.#readable);
    } else {
      this.#inputHandle.start({ readable: true }, this.#readable);
    }
  }

  readonly #readable = (): void => inPoll(() => this.#receive());

  readonly #writable = (): void => inPoll(() => this.#unfinished?.());

  #receive(): void {
    if (!this.#reading || this.destroyed) return;
    scratch ??= Buffer.allocUnsafeSlow(READ_SIZE);
    let length: number;
    try {
      length = readSync(this.#input, scratch, 0, READ_SIZE, null);
    } catch (error) {
      if (codeOf(error) === 'EAGAIN') this.#watch();
      else this.destroy(asError(error));
      return;
    }
    if (length === 0) {
      this.#inputHandle?.stop();
      this.push(null);
      return;
    }
    this.#reading = this.push(Buffer.from(scratch.subarray(0, length)));
    if (this.destroyed) return;
    if (!this.#reading) this.#inputHandle?.stop();
    else if (!this.#rest(length)) this.#watch();
  }

  /** After the second of several small pieces in a row nothing is read for a moment. */
  #rest(length: number): boolean {
    this.#amount += length;
    if (this.#gather === 0 || length === READ_SIZE) return false;
    const now = performance.now();
    const silent = now - this.#lastRead > this.#nextRest + SILENCE;
    const plenty = this.#amount >= READ_SIZE;
    this.#lastRead = now;
    this.#amount = 0;
    if (silent || plenty) {
      this.#nextRest = FIRST_REST;
      return false;
    }
    this.#inputHandle?.stop();
    // Read then without asking whether there is something: in a flood there is.
    const rest = Math.min(this.#nextRest, this.#gather);
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      this.#receive();
    }, rest);
    this.#nextRest = Math.min(2 * rest, this.#gather);
    return true;
  }

  /** What is written may be answered, and the answer (a key's echo) is not to wait. */
  #expect(): void {
    this.#lastRead = Number.NEGATIVE_INFINITY;
    this.#nextRest = FIRST_REST;
    if (this.#resting === undefined) return;
    clearTimeout(this.#resting);
    this.#resting = undefined;
    this.#watch();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
