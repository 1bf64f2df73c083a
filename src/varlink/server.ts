import type { Duplex } from 'node:stream';
import { VarlinkClosedError } from './errors.ts';
import { ServerConnection, type VarlinkServerLimits } from './server-connection.ts';
import { Service, type VarlinkInterface, type VarlinkServiceInfo } from './service.ts';
import { acceptConnections, DescriptorStream, type PeerCredentials, peerCredentials } from './unix.ts';

/** Milliseconds for sending what was replied when the server is closed. */
const PATIENCE = 1000;

const LIMITS: VarlinkServerLimits = {
  message: 1024 ** 2,
  depth: 128,
  connections: 256,
  connectionsPerUser: 128,
  pendingCalls: 64,
  descriptors: 16,
  unsent: 16 * 1024 ** 2,
  sendTimeout: 60_000,
  messageTimeout: 30_000,
  idleTimeout: Infinity,
};

export interface VarlinkServerOptions extends VarlinkServiceInfo {
  readonly interfaces: readonly VarlinkInterface[];
  readonly limits?: Partial<VarlinkServerLimits>;
  /** Whether this peer may connect; everybody who can reach the socket unless told. */
  readonly authorize?: (peer: PeerCredentials | null) => boolean;
  /** Told what a method threw that is no VarlinkError; the client is told io.systemd.System. A warning unless told. */
  readonly failed?: (error: unknown, method: string) => void;
}

/**
 * A varlink service (https://varlink.org): org.varlink.service and the interfaces that it is given. Calls of one
 * connection are carried out one after the other, those of different connections side by side.
 */
export class VarlinkServer implements AsyncDisposable {
  readonly #service: Service;
  readonly #options: VarlinkServerOptions;
  readonly #limits: VarlinkServerLimits;
  readonly #connections = new Map<ServerConnection, PeerCredentials | null>();
  readonly #listeners: Disposable[] = [];
  #closed = false;

  /** Throws IdlSyntaxError for a description that is not valid, TypeError for a method that is not described. */
  constructor(options: VarlinkServerOptions) {
    this.#service = new Service(options, options.interfaces);
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  /** Connections that are open, those that were taken over by a method among them. */
  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Serves a connection and owns it; closes it at once when it is one too many or its peer is not wanted. `peer` is
   * null when nobody knows who it is.
   */
  accept(stream: Duplex, peer: PeerCredentials | null): void {
    // A stream that fails between two owners must not end the process.
    stream.on('error', () => {});
    const { authorize, failed = warn } = this.#options;
    if (this.#closed || this.#isFull(peer) || authorize?.(peer) === false) {
      stream.destroy();
      return;
    }
    const connection = new ServerConnection(stream, {
      peer,
      limits: this.#limits,
      run: (call) => this.#service.run(call),
      failed,
    });
    this.#connections.set(connection, peer);
    stream.once('close', () => this.#connections.delete(connection));
  }

  /** Accepts connections on a listening Unix socket's descriptor, which it takes over. */
  listen(fd: number): void {
    this.#listeners.push(acceptConnections(fd, (connected) => this.#acceptSocket(connected)));
  }

  /**
   * Closes the listeners and all connections; replies that were given are sent first, if that takes no second.
   * What a method took over is the method's.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const listener of this.#listeners.splice(0)) listener[Symbol.dispose]();
    await Promise.all([...this.#connections.keys()].map((connection) => connection.close(PATIENCE)));
  }

  #acceptSocket(fd: number): void {
    const stream = new DescriptorStream(fd, {
      maximumPending: this.#limits.descriptors,
      // Calls of a client that does not wait for the replies are still to be read.
      ignoreClosedPeer: true,
    });
    let peer: PeerCredentials;
    try {
      peer = peerCredentials(fd);
    } catch (error) {
      stream.destroy(new VarlinkClosedError('Nobody knows who connected', { cause: error }));
      return;
    }
    this.accept(stream, peer);
  }

  #isFull(peer: PeerCredentials | null): boolean {
    const { connections, connectionsPerUser } = this.#limits;
    if (this.#connections.size >= connections) return true;
    if (peer === null) return false;
    let ofUser = 0;
    for (const other of this.#connections.values()) if (other?.uid === peer.uid) ofUser += 1;
    return ofUser >= connectionsPerUser;
  }
}

/** A fault of the program, which it outlives. */
function warn(error: unknown, method: string): void {
  process.emitWarning(`${method} failed: ${error instanceof Error ? error.stack : String(error)}`);
}
