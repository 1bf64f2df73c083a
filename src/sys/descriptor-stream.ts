import { closeSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { receiveDescriptors, sendDescriptors } from './ancillary.ts';
import { closeStream } from './close-stream.ts';
import { inPoll, koffi, libc, type PollEvents, type PollHandle, SystemCallError } from './koffi.ts';

const shutdown = libc<[number, number], number>('int shutdown(int, int)');

const SHUT_WR = 1;
const READ_SIZE = 64 * 1024;

type WriteCallback = (error?: Error | null) => void;

/** A peer that sends more descriptors than anybody takes. */
export class TooManyDescriptorsError extends Error {
  constructor(count: number) {
    super(`The peer sent ${count} descriptors that nobody takes`);
    this.name = 'TooManyDescriptorsError';
  }
}

/** What all streams receive into, before a copy of the right size is handed on. */
let scratch: Buffer | undefined;

/** Open streams. Nothing but their poll handle refers to some of them, and a collected handle stops polling. */
const open = new Set<DescriptorStream>();

/**
 * A duplex byte stream over a connected Unix stream socket that carries descriptors both ways. Takes the descriptor
 * over; destroy() or disposal closes it, together with received descriptors that nobody took. Ordinary stream rules
 * hold: nothing is read from the socket while the reader is paused, write() says when to wait for 'drain', end() shuts
 * the sending side down, the peer's end is 'end', a failed system call is 'error' with a SystemCallError. With
 * `ignoreClosedPeer` what is written to a peer that is gone is thrown away instead: an error would destroy the stream,
 * together with what the peer sent last and nobody has read yet.
 */
export class DescriptorStream extends Duplex {
  readonly #fd: number;
  readonly #maximum: number;
  readonly #ignoreClosedPeer: boolean;
  #handle: PollHandle | undefined;
  #reading = false;
  #unfinished: (() => void) | undefined;
  #abandon: WriteCallback | undefined;
  /** Descriptors for a chunk that is still in the write queue. */
  readonly #attached = new WeakMap<Uint8Array, readonly number[]>();
  /** Received descriptors, each with the number of bytes received up to the end of the bytes that it came with. */
  #received: { readonly end: number; readonly descriptors: readonly number[] }[] = [];
  #bytesReceived = 0;
  #unref = false;

  constructor(
    fd: number,
    {
      maximumPending = 1024,
      allowHalfOpen = true,
      ignoreClosedPeer = false,
    }: {
      maximumPending?: number;
      allowHalfOpen?: boolean;
      ignoreClosedPeer?: boolean;
    } = {},
  ) {
    super({ allowHalfOpen });
    this.#fd = fd;
    this.#maximum = maximumPending;
    this.#ignoreClosedPeer = ignoreClosedPeer;
    open.add(this);
  }

  /** Number of the socket's descriptor, for getsockopt and the like. It stays the stream's. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Queues bytes with descriptors attached to the first of them (at most 253, and at least one byte). Settles when the
   * kernel has them all; until then the descriptors must stay open. The caller closes them.
   */
  sendWithDescriptors(chunk: string | Uint8Array, descriptors: readonly number[]): Promise<void> {
    return new Promise((resolve, reject) => {
      // A copy, because the queue knows the descriptors by the identity of the chunk.
      const bytes = Buffer.from(chunk);
      if (bytes.length === 0) throw new RangeError('Descriptors need at least one byte to travel with');
      this.#attached.set(bytes, descriptors);
      this.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /**
   * The descriptors that have arrived so far, in order; the caller owns them. With `consumed`, the number of bytes of
   * this stream that were processed up to the end of a message, only those that came with these bytes: the way to
   * tell which of several messages in a chunk they belong to.
   */
  takeDescriptors(consumed = Infinity): number[] {
    const taken = this.#received.filter(({ end }) => end <= consumed);
    this.#received = this.#received.filter(({ end }) => end > consumed);
    return taken.flatMap(({ descriptors }) => [...descriptors]);
  }

  /** The event loop may end although this stream is open. */
  unref(): this {
    this.#unref = true;
    this.#handle?.unref();
    return this;
  }

  ref(): this {
    this.#unref = false;
    this.#handle?.ref();
    return this;
  }

  override _read(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#watch();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    let rest = chunk;
    let descriptors = this.#attached.get(chunk) ?? [];
    const send = () => {
      try {
        while (rest.length > 0) {
          const sent = sendDescriptors(this.#fd, rest, descriptors);
          if (sent === null) {
            this.#unfinished = send;
            this.#abandon = callback;
            this.#watch();
            return;
          }
          descriptors = [];
          rest = rest.subarray(sent);
        }
      } catch (error) {
        const code = error instanceof SystemCallError ? error.code : undefined;
        if (this.#ignoreClosedPeer && (code === 'EPIPE' || code === 'ECONNRESET')) {
          this.#finishWrite(callback, null);
          return;
        }
        this.#finishWrite(callback, error instanceof Error ? error : new Error(String(error)));
        return;
      }
      this.#finishWrite(callback, null);
    };
    send();
  }

  #finishWrite(callback: WriteCallback, error: Error | null): void {
    if (this.#unfinished !== undefined) {
      this.#unfinished = undefined;
      this.#abandon = undefined;
      this.#watch();
    }
    callback(error);
  }

  override _final(callback: WriteCallback): void {
    // The peer may be gone already (ENOTCONN); then there is nobody left to tell.
    shutdown(this.#fd, SHUT_WR);
    callback();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#handle?.close();
    this.#handle = undefined;
    open.delete(this);
    const abandon = this.#abandon;
    this.#unfinished = undefined;
    this.#abandon = undefined;
    closeSync(this.#fd);
    for (const fd of this.takeDescriptors()) closeSync(fd);
    abandon?.(error ?? new Error('The stream was closed before everything was sent'));
    callback(error);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await closeStream(this);
  }

  #watch(): void {
    if (this.destroyed) return;
    const wanted = {
      readable: this.#reading,
      writable: this.#unfinished !== undefined,
    };
    if (!wanted.readable && !wanted.writable) {
      this.#handle?.stop();
    } else if (this.#handle === undefined) {
      this.#handle = koffi().node.poll(this.#fd, wanted, this.#ready);
      if (this.#unref) this.#handle.unref();
    } else {
      this.#handle.start(wanted, this.#ready);
    }
  }

  readonly #ready = (status: number, events: PollEvents | undefined): void => {
    inPoll(() => {
      // A failed poll (status < 0) and a hang-up are found out by the system call that follows.
      const all = status < 0 || events === undefined;
      if ((all || events.writable) && this.#unfinished !== undefined) this.#unfinished();
      if ((all || events.readable || events.disconnect) && this.#reading && !this.destroyed) this.#receive();
      // libuv stops a handle whose poll failed, as it does when the peer left without having read everything.
      if (status < 0) this.#watch();
    });
  };

  #receive(): void {
    scratch ??= Buffer.allocUnsafeSlow(READ_SIZE);
    let message: ReturnType<typeof receiveDescriptors>;
    try {
      message = receiveDescriptors(this.#fd, scratch);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (message === null) return;
    const { length, descriptors } = message;
    this.#bytesReceived += length;
    if (descriptors.length > 0) this.#received.push({ end: this.#bytesReceived, descriptors });
    const pending = this.#received.reduce((sum, entry) => sum + entry.descriptors.length, 0);
    if (pending > this.#maximum) {
      this.destroy(new TooManyDescriptorsError(pending));
      return;
    }
    this.#reading = length > 0 && this.push(Buffer.from(scratch.subarray(0, length)));
    if (length === 0) this.push(null);
    if (!this.#reading) this.#watch();
  }
}
