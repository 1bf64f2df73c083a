import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { DescriptorStream } from '../sys/descriptor-stream.ts';
import { acceptConnections } from '../sys/unix-accept.ts';
import { peerCid, type VsockListener } from '../sys/vsock.ts';
import { type GuestMessage, NotifyReader } from './notify-reader.ts';

/** Connections of the guest's at the same time; its systemd makes one for each message. */
const connectionLimit = 16;
/** Milliseconds that one may stay open. */
const connectionTime = 10_000;

export interface GuestChannelOptions {
  /** Where the guest's systemd connects to, and the guest's CID: nobody else is listened to. The channel closes it. */
  readonly vsock: { readonly listener: VsockListener; readonly cid: number } | null;
  readonly receive: (message: GuestMessage) => void;
  /** Who is on the other side of a connection; for tests. */
  readonly peer?: (fd: number) => number;
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
    const { vsock } = options;
    this.#acceptor =
      vsock === null ? null : acceptConnections(vsock.listener.fd, (fd) => this.#accept(fd, vsock.cid));
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

  #accept(fd: number, cid: number): void {
    if (this.#connections.size >= connectionLimit || !this.#isGuest(fd, cid)) {
      closeSync(fd);
      return;
    }
    const connection = new DescriptorStream(fd, { allowHalfOpen: false });
    const late = setTimeout(() => connection.destroy(), connectionTime);
    late.unref();
    this.#connections.set(connection, late);
    void this.#read(connection).then(() => {
      clearTimeout(late);
      this.#connections.delete(connection);
      connection.destroy();
    });
  }

  #isGuest(fd: number, cid: number): boolean {
    try {
      return (this.#options.peer ?? peerCid)(fd) === cid;
    } catch {
      return false;
    }
  }

  #read(stream: Readable): Promise<void> {
    const reader = new NotifyReader();
    const deliver = (messages: readonly GuestMessage[]) => messages.forEach(this.#options.receive);
    return new Promise((resolve) => {
      stream.on('data', (chunk: Buffer) => deliver(reader.push(chunk)));
      stream.on('end', () => deliver(reader.end()));
      stream.on('error', () => {});
      stream.on('close', resolve);
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
