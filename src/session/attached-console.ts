import { Duplex } from 'node:stream';
import type { WindowSize } from '../console/hub.ts';
import { dataFrames, type MachineEnd, ServerFrames, sizeFrame } from '../control/console-frames.ts';
import { closeStream } from '../sys/close-stream.ts';
import { FramingError } from '../sys/framing.ts';

/**
 * A running machine's console at our end of the connection: what the guest writes is read from it, and what is written to
 * it is typed. Emits 'stolen' when somebody else has taken the right to write; reading goes on. Ends with the machine or
 * the connection, see `ended`; destroying it leaves the machine as it is.
 */
export class AttachedConsole extends Duplex {
  /** Settles, and never rejects: how the machine has ended, or null when the connection did without a word of that. */
  readonly ended: Promise<MachineEnd | null>;
  /** How many bytes of what the console showed before come first. */
  readonly history: number;
  readonly #stream: Duplex;
  #over = false;
  #settle: (end: MachineEnd | null) => void = () => {};

  /** Takes the stream over, which is behind the reply to org.vmspawn.Console.Attach. */
  constructor(stream: Duplex, history = 0) {
    super({ allowHalfOpen: true, readableHighWaterMark: 64 * 1024 });
    this.#stream = stream;
    this.history = history;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const frames = new ServerFrames();
    stream.on('data', (chunk: Buffer) => {
      try {
        for (const frame of frames.push(chunk)) {
          if (frame.type === 'output') this.#show(frame.bytes);
          else if (frame.type === 'stolen') this.emit('stolen');
          else this.#end(frame.end);
        }
      } catch (error) {
        if (!(error instanceof FramingError)) throw error;
        this.#end(null);
      }
    });
    const over = () => this.#end(null);
    stream.on('end', over).on('close', over).on('error', over);
  }

  /** The window in which this is shown has this size; counts for whoever writes. */
  setSize(size: WindowSize): void {
    if (this.#stream.writable) this.#stream.write(sizeFrame(size));
  }

  #show(bytes: Buffer): void {
    if (!this.#over && !this.push(bytes)) this.#stream.pause();
  }

  #end(end: MachineEnd | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#settle(end);
    this.push(null);
    this.#stream.destroy();
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const frames = this.#stream.writable ? [...dataFrames('input', chunk)] : [];
    const last = frames.pop();
    for (const frame of frames) this.#stream.write(frame);
    // What is typed for a machine that has ended is lost, which its end says well enough.
    if (last === undefined) callback();
    else this.#stream.write(last, () => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#end(null);
    callback(error);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await closeStream(this);
  }
}
