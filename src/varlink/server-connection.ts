import { closeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { Deadline } from './deadline.ts';
import {
  VarlinkClosedError,
  VarlinkError,
  VarlinkFailure,
  VarlinkProtocolError,
  VarlinkTimeoutError,
} from './errors.ts';
import { type CallMessage, encode, isObject, readCall, type VarlinkLimits } from './messages.ts';
import type { VarlinkMethodCall, VarlinkReplyOptions } from './method-call.ts';
import type { VarlinkStream } from './stream.ts';
import { Framer, FramingError, type PeerCredentials, type Readiness, Waiters, watchShared } from './unix.ts';

/** What the clients of a server may make it hold. Times are in milliseconds, Infinity is allowed. */
export interface VarlinkServerLimits extends VarlinkLimits {
  readonly connections: number;
  readonly connectionsPerUser: number;
  /** Calls of a connection that wait behind the one that is carried out; then its socket is not read. */
  readonly pendingCalls: number;
  /** Descriptors of a connection that no method has been given yet. */
  readonly descriptors: number;
  /** Bytes of replies that a connection's peer has not read, before a further reply closes it. */
  readonly unsent: number;
  /** For a reply to be read. */
  readonly sendTimeout: number;
  /** From the first byte of a message to its end. */
  readonly messageTimeout: number;
  /** Without a call. */
  readonly idleTimeout: number;
}

export interface ConnectionOptions {
  readonly peer: PeerCredentials | null;
  readonly limits: VarlinkServerLimits;
  readonly run: (call: VarlinkMethodCall) => Promise<unknown>;
  /** Told what a method threw that is no VarlinkError. */
  readonly failed: (error: unknown, method: string) => void;
}

/**
 * One client of a server: reads its calls and carries them out one after the other. Every way in which the client is
 * gone or breaks the rules ends in destroy().
 */
export class ServerConnection {
  readonly #stream: VarlinkStream;
  readonly #options: ConnectionOptions;
  readonly #framer: Framer;
  readonly #waiters = new Waiters();
  readonly #queue: { readonly message: CallMessage; readonly consumed: number }[] = [];
  #running = false;
  /** The signal of the call that is carried out. */
  #current: AbortController | undefined;
  /** Why nobody waits for replies any more, which methods are told; calls that have come are still carried out. */
  #left: Error | undefined;
  /** No more calls are read: the peer has ended its side, or broke the rules. */
  #inputEnded = false;
  /** Behind a call with `upgrade` no byte is ours before it is answered. */
  #upgrading = false;
  #paused = false;
  #gone: Error | undefined;
  #hangUp: Readiness | undefined;
  readonly #messageTime: Deadline;
  readonly #idleTime: Deadline;
  #messageBegin = -1;

  constructor(stream: Duplex, options: ConnectionOptions) {
    const { limits } = options;
    this.#stream = stream;
    this.#options = options;
    this.#framer = new Framer({ delimiter: 0, limit: limits.message, noun: 'message' });
    const late = (words: string) => () => this.destroy(new VarlinkTimeoutError(words));
    this.#messageTime = new Deadline(
      limits.messageTimeout,
      late('The client did not end its message in time'),
    );
    this.#idleTime = new Deadline(limits.idleTimeout, late('The client made no call in time'));
    stream.on('data', this.#receive);
    stream.on('end', this.#ended);
    stream.on('error', this.#broken);
    stream.on('close', this.#broken);
    this.#watchTime();
  }

  /** Ends the call that is carried out with an error and closes the stream at once. */
  destroy(error: Error): void {
    if (this.#gone !== undefined) return;
    this.#gone = error;
    this.#queue.splice(0);
    this.#release();
    this.#current?.abort(error);
    this.#waiters.fail(error);
    this.#stream.destroy();
  }

  /** Ends the call that is carried out, sends what was replied, and closes; gives up after `patience` milliseconds. */
  async close(patience: number): Promise<void> {
    if (this.#gone !== undefined) return;
    const closed = new VarlinkClosedError('The server was closed');
    this.#queue.splice(0);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patience);
      this.#stream.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#refuse(closed);
    });
    this.destroy(closed);
  }

  readonly #receive = (chunk: Buffer): void => {
    if (this.#inputEnded) return;
    this.#framer.feed(chunk);
    this.#read();
  };

  /** Reads calls from what has arrived, as far as there is room for them. */
  #read(): void {
    try {
      while (!this.#blocked) {
        const bytes = this.#framer.next();
        if (bytes === null) break;
        const message = readCall(bytes, this.#options.limits.depth);
        this.#queue.push({ message, consumed: this.#framer.consumed });
        if (message.upgrade) this.#upgrading = true;
      }
    } catch (error) {
      if (!(error instanceof VarlinkProtocolError) && !(error instanceof FramingError)) throw error;
      this.#refuse(error);
      return;
    }
    if (this.#blocked) this.#pause();
    else this.#resume();
    this.#watchTime();
    this.#carryOn();
  }

  get #blocked(): boolean {
    return this.#inputEnded || this.#upgrading || this.#queue.length >= this.#options.limits.pendingCalls;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
    this.#watchHangUp();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#hangUp?.[Symbol.dispose]();
    this.#hangUp = undefined;
    this.#stream.resume();
  }

  /** Who does not read cannot see that the peer has gone; and the end of what it sends is not yet that. */
  #watchHangUp(): void {
    const { fd } = this.#stream;
    if (fd === undefined || this.#hangUp !== undefined || this.#gone !== undefined) return;
    try {
      this.#hangUp = watchShared(fd, 'hangUp', () => {
        this.#hangUp?.stop();
        this.#leave(new VarlinkClosedError('The client is gone'));
      });
    } catch (error) {
      // No descriptor is left for it: this connection's is one that can be given back.
      this.destroy(new VarlinkClosedError('The client cannot be watched', { cause: error }));
      return;
    }
    this.#hangUp.start();
  }

  #leave(reason: Error): void {
    this.#left ??= reason;
    this.#current?.abort(this.#left);
  }

  /** No more calls from this client, and the connection is closed behind the answers to those that have come. */
  #refuse(reason: Error): void {
    this.#inputEnded = true;
    this.#framer.takeRest();
    this.#leave(reason);
    this.#pause();
    this.#watchTime();
    this.#carryOn();
  }

  readonly #ended = (): void => {
    this.#inputEnded = true;
    this.#framer.takeRest();
    if (this.#stream.fd === undefined) this.#leave(new VarlinkClosedError('The client is gone'));
    else this.#watchHangUp();
    this.#watchTime();
    this.#carryOn();
  };

  readonly #broken = (error?: Error): void => {
    this.destroy(new VarlinkClosedError(error?.message ?? 'The client is gone', { cause: error }));
  };

  #carryOn(): void {
    if (this.#running) return;
    this.#running = true;
    this.#runQueue().catch((error) => this.destroy(error));
  }

  async #runQueue(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#watchTime();
      const upgraded = await this.#serve(next.message, next.consumed);
      if (this.#gone !== undefined) return;
      if (next.message.upgrade) this.#upgrading = false;
      // What comes now is not varlink, and nobody took the connection over.
      if (upgraded) this.#refuse(new VarlinkClosedError('The connection was upgraded'));
      if (!this.#inputEnded) this.#read();
    }
    this.#running = false;
    if (this.#inputEnded) this.#stream.end(() => this.#stream.destroy());
    else this.#watchTime();
  }

  /** Tells whether the connection is said to be upgraded. Never rejects. */
  async #serve(message: CallMessage, consumed: number): Promise<boolean> {
    const controller = new AbortController();
    this.#current = controller;
    if (this.#left !== undefined) controller.abort(this.#left);
    const descriptors = this.#stream.takeDescriptors?.(consumed) ?? [];
    const { call, isAnswered } = this.#call(message, descriptors, controller.signal);
    try {
      const result = await this.#options.run(call);
      if (!isAnswered()) await call.reply(isObject(result) ? result : {});
      return message.upgrade;
    } catch (error) {
      if (this.#gone !== undefined) return false;
      if (!(error instanceof VarlinkError)) this.#options.failed(error, message.method);
      if (isAnswered()) return message.upgrade;
      if (!message.oneway) await this.#send(errorReply(error)).catch(() => {});
      return false;
    } finally {
      this.#current = undefined;
      for (const fd of descriptors.splice(0)) closeSync(fd);
    }
  }

  #call(message: CallMessage, descriptors: number[], signal: AbortSignal) {
    let answered = false;
    const reply = async (parameters?: object, options: VarlinkReplyOptions = {}): Promise<void> => {
      const { continues = false, descriptors: sent = [] } = options;
      if (answered) throw new TypeError(`${message.method} was answered already`);
      if (continues && !message.more) throw new VarlinkError('org.varlink.service.ExpectedMore');
      if (sent.length > 0 && this.#stream.sendWithDescriptors === undefined) {
        throw new TypeError('This varlink connection carries no descriptors');
      }
      const bytes = { parameters, ...(continues ? { continues } : {}) };
      if (!continues) answered = true;
      if (!message.oneway) await this.#send(bytes, sent);
    };
    const takeOver = async (parameters?: object, options?: VarlinkReplyOptions): Promise<Duplex> => {
      if (!message.upgrade) throw new VarlinkError('org.varlink.service.ExpectedUpgrade');
      await reply(parameters, options);
      return this.#detach();
    };
    const { peer } = this.#options;
    const call: VarlinkMethodCall = { ...message, descriptors, peer, signal, reply, takeOver };
    return { call, isAnswered: () => answered };
  }

  async #send(message: object, descriptors: readonly number[] = []): Promise<void> {
    if (this.#gone !== undefined) throw this.#gone;
    const { unsent, sendTimeout } = this.#options.limits;
    const late = () => new VarlinkTimeoutError('The client does not read its replies');
    const bytes = encode(message);
    try {
      if (this.#stream.writableLength > unsent) throw late();
      await this.#waiters.wait<void>(
        (resolve, reject) => {
          if (descriptors.length > 0) {
            this.#stream.sendWithDescriptors?.(bytes, descriptors).then(resolve, reject);
          } else this.#stream.write(bytes, (error) => (error ? reject(error) : resolve()));
        },
        { signal: undefined, timeout: sendTimeout },
        late,
      );
    } catch (error) {
      const failure =
        error instanceof VarlinkFailure ? error : new VarlinkClosedError(String(error), { cause: error });
      this.destroy(failure);
      throw failure;
    }
  }

  #detach(): Duplex {
    if (this.#gone !== undefined) throw this.#gone;
    this.#gone = new VarlinkClosedError('The connection was taken over');
    this.#release();
    this.#stream.off('data', this.#receive);
    this.#stream.off('end', this.#ended);
    this.#stream.off('error', this.#broken);
    this.#stream.off('close', this.#broken);
    const rest = this.#framer.takeRest();
    if (rest.length > 0) this.#stream.unshift(rest);
    return this.#stream;
  }

  #release(): void {
    this.#messageTime.stop();
    this.#idleTime.stop();
    this.#hangUp?.[Symbol.dispose]();
    this.#hangUp = undefined;
  }

  #watchTime(): void {
    if (this.#gone !== undefined) return;
    const partial = this.#framer.pending > 0 && !this.#blocked;
    if (!partial || this.#messageBegin !== this.#framer.consumed) this.#messageTime.stop();
    if (partial) this.#messageTime.start();
    this.#messageBegin = this.#framer.consumed;
    if (this.#running || this.#queue.length > 0 || this.#inputEnded) this.#idleTime.stop();
    else this.#idleTime.start();
  }
}

function errorReply(error: unknown): object {
  if (error instanceof VarlinkError) return { error: error.error, parameters: error.parameters };
  // systemd's name for a failure without a name of its own; its clients put the number into words.
  return { error: 'io.systemd.System', parameters: { origin: 'linux', errno: 5, errnoName: 'EIO' } };
}
