import type { Duplex, Readable } from 'node:stream';
import type { ConsoleView } from '../console/view.ts';
import type { Owned } from '../disposal.ts';
import { FramingError } from '../sys/framing.ts';
import { type Readiness, watchShared } from '../sys/readiness.ts';
import type { VarlinkStream } from '../varlink/index.ts';
import { ClientFrames, dataFrames, endFrame, type MachineEnd, stolenFrame } from './console-frames.ts';

/** Milliseconds that a client may read nothing of what is left for it when the machine has ended. */
const patience = 2_000;
/** How often it may have read something within that time. */
const rounds = 15;

/**
 * A client of a console, on a connection that it has for itself. Ends when the client is gone, or has been told
 * everything. Disposal, when the machine has ended, waits for that, as long as the client reads.
 */
export class ConsoleSession implements Owned {
  /** Settles when the connection is closed. Never rejects. */
  readonly over: Promise<void>;
  readonly #stream: Duplex;
  readonly #hangUp: Readiness | null;
  /** Counts what the kernel has taken. */
  #taken = 0;

  /** Takes both over; `pieces` is how what is read from `source` is sent, and `last` what follows it. */
  private constructor(
    stream: Duplex,
    source: Readable,
    pieces: (chunk: Buffer) => Iterable<Buffer>,
    last: () => Promise<Buffer | null>,
  ) {
    this.#stream = stream;
    this.#hangUp = watchPeer(stream);
    this.over = new Promise((resolve) => {
      stream.once('close', () => {
        this.#hangUp?.[Symbol.dispose]();
        source.destroy();
        resolve();
      });
    });
    stream.on('drain', () => source.resume());
    source.on('data', (chunk: Buffer) => {
      for (const piece of pieces(chunk)) this.#send(piece);
      if (stream.writableNeedDrain) source.pause();
    });
    source.on('end', () => {
      void last().then((bytes) => {
        if (bytes !== null) this.#send(bytes);
        stream.end();
      });
    });
  }

  /** The guest's output, as it is; the connection is closed behind it. */
  static log(stream: Duplex, source: Readable): ConsoleSession {
    const session = new ConsoleSession(
      stream,
      source,
      (chunk) => [chunk],
      async () => null,
    );
    stream.once('finish', () => stream.destroy());
    return session;
  }

  /** Frames both ways. */
  static attached(stream: Duplex, view: ConsoleView, ended: Promise<MachineEnd>): ConsoleSession {
    const session = new ConsoleSession(
      stream,
      view,
      (chunk) => dataFrames('output', chunk),
      async () => endFrame(await ended),
    );
    view.on('stolen', () => session.#send(stolenFrame()));
    const frames = new ClientFrames();
    // Who writes faster than the guest reads waits.
    view.on('drain', () => stream.resume());
    stream.on('data', (chunk: Buffer) => {
      try {
        for (const frame of frames.push(chunk)) {
          if (frame.type === 'input') view.write(frame.bytes);
          else view.setSize(frame.size);
        }
        if (view.writableNeedDrain) stream.pause();
      } catch (error) {
        if (!(error instanceof FramingError)) throw error;
        stream.destroy();
      }
    });
    // It comes paused.
    stream.resume();
    return session;
  }

  /** Closes the connection at once. */
  destroy(): void {
    this.#stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let round = 0, before = -1; round < rounds && before !== this.#taken; round += 1) {
      before = this.#taken;
      if (await this.#overWithin(patience)) return;
    }
    this.#stream.destroy();
    await this.over;
  }

  #send(bytes: Buffer): void {
    if (!this.#stream.writable) return;
    this.#stream.write(bytes, () => {
      this.#taken += 1;
    });
  }

  #overWithin(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), milliseconds);
      void this.over.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}

/** The end of what a client sends is not its end, and what is written to one that is gone is thrown away by the stream. */
function watchPeer(stream: VarlinkStream): Readiness | null {
  if (stream.fd === undefined) return null;
  try {
    const watch = watchShared(stream.fd, 'hangUp', () => stream.destroy());
    watch.start();
    return watch;
  } catch {
    // No descriptor is left for it: this connection's is one that can be given back.
    stream.destroy();
    return null;
  }
}
