import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { DescriptorStream } from '../sys/descriptor-stream.ts';
import { acceptConnections } from '../sys/unix-accept.ts';
import type { GuestListener } from './guest-listener.ts';
import { type GuestMessage, NotifyReader } from './notify-reader.ts';

/** Connections of the guest's at the same time; its systemd makes one for each message. */
const connectionLimit = 16;
/** Milliseconds that one may stay open. */
const connectionTime = 10_000;
/** Milliseconds without a word that are taken for the end of a message, where that is not to be seen. */
const pause = 20;

export interface GuestChannelOptions {
  /** Where the guest's systemd connects to. The channel closes it. */
  readonly listener: Omit<GuestListener, 'address'> | null;
  readonly receive: (message: GuestMessage) => void;
}

/**
 * Everything that comes from the guest about itself, whichever way. Nothing it sends can hold anybody up or use up
 * memory; a way that fails is silent from then on.
 */
export class GuestChannel implements Disposable {
  readonly #options: GuestChannelOptions;
  readonly #acceptor: Disposable | null;
  readonly #connections = new Map<DescriptorStream, NodeJS.Timeout>();
  #serial: Readable | null = null;
  #drained: Promise<void> = Promise.resolve();

  constructor(options: GuestChannelOptions) {
    this.#options = options;
    const { listener } = options;
    this.#acceptor =
      listener === null ? null : acceptConnections(listener.fd, (fd) => this.#accept(fd, listener));
  }

  /** Our end of the serial port; the channel closes it. */
  listenTo(serial: Readable): void {
    this.#serial = serial;
    this.#drained = this.#read(serial);
  }

  /** Settles when the serial port has given all that was written to it, which is after QEMU's end. */
  get drained(): Promise<void> {
    return this.#drained;
  }

  #accept(fd: number, listener: Omit<GuestListener, 'address'>): void {
    if (this.#connections.size >= connectionLimit || !isGuest(fd, listener)) {
      closeSync(fd);
      return;
    }
    const connection = new DescriptorStream(fd, { allowHalfOpen: false });
    const late = setTimeout(() => connection.destroy(), connectionTime);
    late.unref();
    this.#connections.set(connection, late);
    void this.#read(connection, listener.endless).then(() => {
      clearTimeout(late);
      this.#connections.delete(connection);
      connection.destroy();
    });
  }

  #read(stream: Readable, endless = false): Promise<void> {
    const reader = new NotifyReader();
    const deliver = (messages: readonly GuestMessage[]) => messages.forEach(this.#options.receive);
    let silence: NodeJS.Timeout | undefined;
    return new Promise((resolve) => {
      stream.on('data', (chunk: Buffer) => {
        deliver(reader.push(chunk));
        if (!endless) return;
        clearTimeout(silence);
        silence = setTimeout(() => {
          deliver(reader.end());
          stream.destroy();
        }, pause);
      });
      stream.on('end', () => deliver(reader.end()));
      stream.on('error', () => {});
      stream.on('close', () => {
        clearTimeout(silence);
        resolve();
      });
    });
  }

  [Symbol.dispose](): void {
    this.#acceptor?.[Symbol.dispose]();
    this.#serial?.destroy();
    for (const [connection, late] of this.#connections) {
      clearTimeout(late);
      connection.destroy();
    }
    this.#connections.clear();
  }
}

function isGuest(fd: number, listener: Omit<GuestListener, 'address'>): boolean {
  try {
    return listener.isGuest(fd);
  } catch {
    return false;
  }
}
