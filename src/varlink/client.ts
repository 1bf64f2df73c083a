import { closeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { connect } from './connect.ts';
import { VarlinkClosedError, VarlinkError, VarlinkProtocolError, VarlinkTimeoutError } from './errors.ts';
import { encode, type JsonObject, type ReplyMessage, readReply, type VarlinkLimits } from './messages.ts';
import type { VarlinkStream } from './stream.ts';
import { Framer, FramingError, Waiters } from './unix.ts';

const CALL_TIMEOUT = 30_000;
/** What systemd's own client accepts. */
const LIMITS: VarlinkLimits = { message: 16 * 1024 ** 2, depth: 128 };
/** Replies of a stream that wait for the reader before no more is read. */
const REPLIES_AHEAD = 64;

export interface VarlinkReply {
  readonly parameters: JsonObject;
  /** Sent with the reply; the caller's, who closes them. */
  readonly descriptors: number[];
}

export interface VarlinkCallOptions {
  /** Milliseconds for the reply, of a stream for each reply; Infinity is allowed. The client's unless told. */
  readonly timeout?: number | undefined;
  /** Gives the call up, with the signal's reason; the peer may still carry it out. */
  readonly signal?: AbortSignal | undefined;
  /** Sent with the call. They stay the caller's and must be open until the call settles. */
  readonly descriptors?: readonly number[] | undefined;
}

/** A call that was sent; replies come in the order of the calls. */
interface Pending {
  readonly method: string;
  readonly kind: 'call' | 'more' | 'upgrade';
  readonly answer: (reply: ReplyMessage, descriptors: number[]) => void;
}

/**
 * A client of a varlink service (https://varlink.org). Owns the stream: a plain duplex stream, or one that carries
 * descriptors. Calls may be made while others wait for their reply.
 *
 * Calls reject with VarlinkError (the peer's error reply), VarlinkTimeoutError, VarlinkClosedError (the connection is
 * gone), VarlinkProtocolError (the peer does not speak varlink), or the reason of their signal.
 */
export class VarlinkClient implements AsyncDisposable {
  /** Settles, and never rejects, when the connection is gone: null when it ended in order, else the error. */
  readonly closed: Promise<Error | null>;

  readonly #stream: VarlinkStream;
  readonly #timeout: number;
  readonly #limits: VarlinkLimits;
  readonly #framer: Framer;
  readonly #waiters = new Waiters();
  readonly #pending: Pending[] = [];
  #failure: Error | undefined;
  #upgrading = false;
  #detached = false;
  #announce: (error: Error | null) => void = () => {};

  /** `timeout` in milliseconds is that of calls that name none: 30 s unless told. */
  constructor(
    stream: Duplex,
    { timeout = CALL_TIMEOUT, limits = {} }: { timeout?: number; limits?: Partial<VarlinkLimits> } = {},
  ) {
    this.#stream = stream;
    this.#timeout = timeout;
    this.#limits = { ...LIMITS, ...limits };
    this.#framer = new Framer({ delimiter: 0, limit: this.#limits.message, noun: 'message' });
    this.closed = new Promise((resolve) => {
      this.#announce = resolve;
    });
    stream.on('data', this.#receive);
    stream.on('end', this.#ended);
    stream.on('error', this.#broken);
    stream.on('close', this.#ended);
  }

  /**
   * Connects to a Unix socket: a path, an abstract `@name`, or either after `unix:`. `timeout` in milliseconds bounds
   * the connecting and is that of the calls. Throws VarlinkConnectError (`code` says why), VarlinkTimeoutError (the
   * service's queue of connections stays full), or the signal's reason.
   */
  static async connect(
    path: string,
    { timeout = CALL_TIMEOUT, signal }: { timeout?: number; signal?: AbortSignal } = {},
  ): Promise<VarlinkClient> {
    return new VarlinkClient(await connect(path, { timeout, signal }), { timeout });
  }

  /** Calls a method by its full name and gives the reply. */
  async call(method: string, parameters?: object, options: VarlinkCallOptions = {}): Promise<VarlinkReply> {
    return this.#ask('call', method, parameters, options);
  }

  /**
   * Calls a method that may reply more than once, when the iteration begins; it ends behind the last reply. Giving up
   * before that, by `break`, signal or timeout, closes the connection: varlink has no other way to say so.
   */
  async *more(
    method: string,
    parameters?: object,
    options: VarlinkCallOptions = {},
  ): AsyncGenerator<VarlinkReply, void, void> {
    const replies: { reply: ReplyMessage; descriptors: number[] }[] = [];
    let wake: (() => void) | undefined;
    let sent: Pending | undefined;
    const answer: Pending['answer'] = (reply, descriptors) => {
      replies.push({ reply, descriptors });
      if (replies.length >= REPLIES_AHEAD && reply.continues) this.#stream.pause();
      wake?.();
    };
    try {
      for (;;) {
        if (replies.length === 0) {
          await this.#wait<void>(method, options, (resolve, reject) => {
            wake = resolve;
            sent ??= this.#send('more', method, parameters, options.descriptors, answer, { reject });
          });
          wake = undefined;
        }
        const next = replies.shift();
        if (next === undefined) continue;
        if (replies.length === 0) this.#stream.resume();
        yield this.#result(next.reply, next.descriptors);
        if (!next.reply.continues) return;
      }
    } finally {
      for (const { descriptors } of replies) closeAll(descriptors);
      this.#giveUp(sent);
    }
  }

  /** Calls a method without a reply; settles when the call is sent. What becomes of it is not told. */
  async oneway(method: string, parameters?: object, options: VarlinkCallOptions = {}): Promise<void> {
    await this.#wait<void>(method, options, (resolve, reject) => {
      this.#send('oneway', method, parameters, options.descriptors, undefined, { resolve, reject });
    });
  }

  /**
   * Calls a method that takes the connection over for another protocol. Gives the reply and the stream, the caller's
   * from now on, paused, with the bytes in it that came behind the reply. After an error reply the client goes on.
   */
  async upgrade(
    method: string,
    parameters?: object,
    options: VarlinkCallOptions = {},
  ): Promise<{ reply: VarlinkReply; stream: Duplex }> {
    const reply = await this.#ask('upgrade', method, parameters, options);
    return { reply, stream: this.#stream };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#detached) return;
    this.#fail(new VarlinkClosedError('The varlink connection was closed by its user'), null);
    if (this.#stream.closed) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('close', resolve);
      this.#stream.destroy();
    });
  }

  async #ask(
    kind: 'call' | 'upgrade',
    method: string,
    parameters: object | undefined,
    options: VarlinkCallOptions,
  ): Promise<VarlinkReply> {
    let given = false;
    let sent: Pending | undefined;
    try {
      return await this.#wait<VarlinkReply>(method, options, (resolve, reject) => {
        const answer: Pending['answer'] = (reply, descriptors) => {
          if (given) return closeAll(descriptors);
          try {
            resolve(this.#result(reply, descriptors));
          } catch (error) {
            reject(error);
          }
        };
        sent = this.#send(kind, method, parameters, options.descriptors, answer, { reject });
      });
    } finally {
      given = true;
      // The late reply of an ordinary call is taken off the line; behind that of an upgrade is another protocol.
      if (kind === 'upgrade') this.#giveUp(sent);
    }
  }

  /** Closes the connection when a call that nobody waits for any more would go on. */
  #giveUp(sent: Pending | undefined): void {
    if (sent === undefined || !this.#pending.includes(sent)) return;
    this.#fail(new VarlinkClosedError(`The replies to ${sent.method} were given up`), null);
  }

  #wait<T>(
    method: string,
    { timeout = this.#timeout, signal }: VarlinkCallOptions,
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const late = () => new VarlinkTimeoutError(`${method} was not answered within ${timeout / 1000} s`);
    return this.#waiters.wait(start, { signal, timeout }, late);
  }

  /** Writes a call and puts it in the row of those that wait for a reply. Tells when it is written, or cannot be. */
  #send(
    kind: Pending['kind'] | 'oneway',
    method: string,
    parameters: object | undefined,
    descriptors: readonly number[] = [],
    answer: Pending['answer'] = () => {},
    written: { resolve?: () => void; reject: (error: unknown) => void },
  ): Pending | undefined {
    if (this.#upgrading) throw new VarlinkClosedError('The connection is being upgraded to another protocol');
    if (descriptors.length > 0 && this.#stream.sendWithDescriptors === undefined) {
      throw new TypeError('This varlink connection carries no descriptors');
    }
    const bytes = encode({ method, parameters, ...(kind === 'call' ? {} : { [kind]: true }) });
    const pending = kind === 'oneway' ? undefined : { method, kind, answer };
    if (pending !== undefined) this.#pending.push(pending);
    if (kind === 'upgrade') this.#upgrading = true;
    if (descriptors.length === 0) {
      this.#stream.write(bytes, (error) =>
        error ? written.reject(this.#failure ?? error) : written.resolve?.(),
      );
    } else {
      this.#stream.sendWithDescriptors?.(bytes, descriptors).then(written.resolve, written.reject);
    }
    return pending;
  }

  /** Throws VarlinkError for an error reply. */
  #result({ parameters, error }: ReplyMessage, descriptors: number[]): VarlinkReply {
    if (error === null) return { parameters, descriptors };
    closeAll(descriptors);
    throw new VarlinkError(error, parameters);
  }

  readonly #receive = (chunk: Buffer): void => {
    try {
      this.#framer.feed(chunk);
      while (this.#failure === undefined && !this.#detached) {
        const bytes = this.#framer.next();
        if (bytes === null) return;
        this.#dispatch(readReply(bytes, this.#limits.depth));
      }
    } catch (error) {
      if (error instanceof FramingError) {
        this.#fail(new VarlinkProtocolError(`The peer sent ${error.message}`, { cause: error }));
      } else if (error instanceof VarlinkProtocolError) this.#fail(error);
      else throw error;
    }
  };

  #dispatch(reply: ReplyMessage): void {
    const descriptors = this.#stream.takeDescriptors?.(this.#framer.consumed) ?? [];
    const [pending] = this.#pending;
    if (pending === undefined || (reply.continues && pending.kind !== 'more')) {
      closeAll(descriptors);
      throw new VarlinkProtocolError('The peer sent a reply that nobody asked for');
    }
    if (!reply.continues) this.#pending.shift();
    if (pending.kind === 'upgrade') {
      this.#upgrading = false;
      if (reply.error === null) this.#detach();
    }
    pending.answer(reply, descriptors);
  }

  /** Gives the stream up, with what it has brought behind the reply. */
  #detach(): void {
    this.#detached = true;
    this.#stream.off('data', this.#receive);
    this.#stream.off('end', this.#ended);
    this.#stream.off('error', this.#broken);
    this.#stream.off('close', this.#ended);
    this.#stream.pause();
    const rest = this.#framer.takeRest();
    if (rest.length > 0) this.#stream.unshift(rest);
    this.#failure = new VarlinkClosedError('The connection was upgraded to another protocol');
    this.#announce(null);
  }

  readonly #ended = (): void => {
    const idle = this.#pending.length === 0 && this.#framer.pending === 0;
    this.#fail(
      new VarlinkClosedError(
        this.#framer.pending > 0
          ? 'The peer closed the varlink connection in the middle of a message'
          : 'The peer closed the varlink connection',
      ),
      idle ? null : undefined,
    );
  };

  readonly #broken = (error: Error): void => {
    this.#fail(
      new VarlinkClosedError(`The varlink connection broke down: ${error.message}`, { cause: error }),
    );
  };

  /** Ends everything that waits, once. `reason` is what `closed` tells, the error unless told. */
  #fail(error: Error, reason: Error | null = error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#pending.splice(0);
    this.#waiters.fail(error);
    this.#stream.destroy();
    this.#announce(reason);
  }
}

function closeAll(descriptors: readonly number[]): void {
  for (const fd of descriptors) closeSync(fd);
}
