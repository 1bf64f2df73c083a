import type { Duplex } from 'node:stream';
import { Waiters } from '../sys/waiters.ts';
import {
  type CommandArguments,
  type CommandName,
  type CommandResult,
  commands,
  malformed,
} from './commands.ts';
import { QmpConnectionError, QmpError, QmpTimeoutError } from './errors.ts';
import { EventQueue, type EventStream } from './events.ts';
import { FramingError, LineFramer } from './framing.ts';
import {
  type JsonObject,
  parseMessage,
  type QmpEvent,
  type QmpGreeting,
  type QmpMessage,
} from './messages.ts';

const MEBIBYTE = 1024 ** 2;
const ORDINARY_LINE = MEBIBYTE;
const LARGE_LINE = 16 * MEBIBYTE;
/** QEMU greets within 30 ms of its exec; a host under load may take far longer. */
const GREETING_TIMEOUT = 30_000;
const COMMAND_TIMEOUT = 30_000;

/** A connection to QEMU; `sendWithDescriptors` where it is a Unix socket that carries descriptors. */
export type QmpStream = Duplex & {
  sendWithDescriptors?(chunk: Uint8Array, descriptors: readonly number[]): unknown;
};

export interface ExecuteOptions {
  /** Gives the call up; QEMU may still carry the command out. Rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; 30 s unless told. */
  readonly timeout?: number | undefined;
  /** Passed with the command (SCM_RIGHTS). They stay the caller's and must be open until the call settles. */
  readonly descriptors?: readonly number[] | undefined;
}

interface Pending {
  readonly command: string;
  readonly large: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Listener = (event: QmpEvent) => void;

/**
 * A client of the QEMU machine protocol (docs/interop/qmp-spec.txt). Owns the stream. Listeners that are added before
 * `negotiate` is called miss no event.
 */
export class Qmp implements AsyncDisposable {
  /** Settles, and never rejects, when the connection is gone; the error says why. */
  readonly closed: Promise<QmpConnectionError>;
  /** Replies that nobody waited for; QEMU sends none. */
  strays = 0;

  readonly #stream: QmpStream;
  readonly #framer = new LineFramer(ORDINARY_LINE);
  readonly #pending = new Map<number, Pending>();
  /** Given up by the caller, not yet answered; the value tells whether a large reply is due. */
  readonly #abandoned = new Map<number, boolean>();
  readonly #waiters = new Waiters();
  readonly #listeners = new Set<Listener>();
  readonly #queues = new Set<EventQueue>();
  #greeting: QmpGreeting | undefined;
  #greeted: ((greeting: QmpGreeting) => void) | undefined;
  #failure: QmpConnectionError | undefined;
  #announce: (error: QmpConnectionError) => void = () => {};
  #lastId = 0;

  constructor(stream: QmpStream) {
    this.#stream = stream;
    this.closed = new Promise((resolve) => {
      this.#announce = resolve;
    });
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('end', () => this.#ended());
    // A connection that breaks down is an 'error' first; its words are worth more than those of 'close'.
    stream.on('error', (error) => this.#fail(new QmpConnectionError(brokenWords(error), { cause: error })));
    stream.on('close', () => this.#ended());
  }

  /** Why nothing can be asked any more; undefined while the connection works. */
  get failure(): QmpConnectionError | undefined {
    return this.#failure;
  }

  /**
   * Waits for the greeting and leaves capabilities negotiation mode; once, before anything else. Throws
   * QmpConnectionError, QmpTimeoutError (`timeout` in milliseconds, for the greeting alone), or the signal's reason.
   */
  async negotiate({
    signal,
    timeout = GREETING_TIMEOUT,
  }: {
    signal?: AbortSignal | undefined;
    timeout?: number | undefined;
  } = {}): Promise<QmpGreeting> {
    if (this.#failure !== undefined) throw this.#failure;
    const greeting = await this.#waiters.wait<QmpGreeting>(
      (resolve) => {
        if (this.#greeting !== undefined) resolve(this.#greeting);
        else this.#greeted = resolve;
      },
      { signal, timeout },
      () => new QmpTimeoutError(`QEMU did not greet on QMP within ${timeout / 1000} s`),
    );
    await this.execute('qmp_capabilities', undefined, { signal, timeout });
    return greeting;
  }

  /**
   * Runs one of the known commands. Throws QmpError when QEMU refuses, QmpTimeoutError, QmpConnectionError (one and
   * the same for all calls that a lost connection ends, `cause` kept), or the signal's reason.
   */
  async execute<Name extends CommandName>(
    name: Name,
    values?: CommandArguments<Name>,
    options: ExecuteOptions = {},
  ): Promise<CommandResult<Name>> {
    const { read, large } = commands[name] as {
      read: (value: unknown) => CommandResult<Name> | typeof malformed;
      large?: boolean;
    };
    const result = read(await this.executeAny(name, values, { ...options, large: large ?? false }));
    if (result === malformed) {
      throw new QmpConnectionError(`QEMU answered ${name} with something else than its schema says`);
    }
    return result;
  }

  /** Runs any command; the reply is as it came. Errors as for `execute`. */
  async executeAny(
    name: string,
    values?: JsonObject | undefined,
    {
      signal,
      timeout = COMMAND_TIMEOUT,
      descriptors = [],
      large = true,
    }: ExecuteOptions & { large?: boolean } = {},
  ): Promise<unknown> {
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    if (descriptors.length > 0 && this.#stream.sendWithDescriptors === undefined) {
      throw new TypeError('This QMP connection carries no descriptors');
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const line = Buffer.from(`${JSON.stringify({ execute: name, arguments: values, id })}\r\n`);
    try {
      return await this.#waiters.wait<unknown>(
        (resolve, reject) => {
          this.#pending.set(id, {
            command: name,
            large,
            resolve,
            reject,
          });
          this.#updateLimit();
          this.#send(line, descriptors).catch(reject);
        },
        { signal, timeout },
        () => new QmpTimeoutError(`QEMU did not answer ${name} within ${timeout / 1000} s`),
      );
    } finally {
      // Still there: given up before the answer came, which will be taken off the line without a word.
      if (this.#pending.delete(id)) this.#abandoned.set(id, large);
    }
  }

  /** Calls `listener` for every event as it is read, in order. What it throws goes to the process. */
  onEvent(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Events from now on. At most `limit` of them wait to be taken: the newest are kept, the loss is counted. */
  events({ limit = 1000 }: { limit?: number } = {}): EventStream {
    const queue = new EventQueue(limit, (self) => this.#queues.delete(self));
    if (this.#failure === undefined) this.#queues.add(queue);
    else queue.end();
    return queue;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new QmpConnectionError('The QMP connection to QEMU was closed by vmspawn'));
    if (this.#stream.closed) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('close', resolve);
      this.#stream.destroy();
    });
  }

  async #send(line: Buffer, descriptors: readonly number[]): Promise<void> {
    if (descriptors.length === 0) this.#stream.write(line);
    else await this.#stream.sendWithDescriptors?.(line, descriptors);
  }

  #receive(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      for (const line of this.#framer.push(chunk)) {
        this.#dispatch(parseMessage(line));
        if (this.#failure !== undefined) return;
      }
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.#fail(this.#broken(error));
    }
  }

  #broken(error: FramingError): QmpConnectionError {
    return new QmpConnectionError('What QEMU sent on its QMP connection is not QMP', { cause: error });
  }

  #dispatch(message: QmpMessage): void {
    if (message.type === 'greeting') {
      if (this.#greeting !== undefined) throw new FramingError('a second greeting');
      this.#greeting = message.greeting;
      this.#greeted?.(message.greeting);
      return;
    }
    if (this.#greeting === undefined) {
      if (message.type !== 'error')
        throw new FramingError(`a message of type ${message.type} before the greeting`);
      // QEMU says so when it cannot set the monitor up.
      throw new FramingError(`the error ${JSON.stringify(message.description)} in place of a greeting`);
    }
    if (message.type === 'event') {
      for (const queue of this.#queues) queue.push(message.event);
      for (const listener of this.#listeners) listener(message.event);
      return;
    }
    // Commands are answered in order, so an error without an id is for the oldest one: QEMU could not parse it.
    const id =
      message.type === 'error' && message.id === undefined ? this.#pending.keys().next().value : message.id;
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    if (typeof id !== 'number' || pending === undefined) {
      if (typeof id !== 'number' || !this.#abandoned.delete(id)) this.strays += 1;
      this.#updateLimit();
      return;
    }
    this.#pending.delete(id);
    this.#updateLimit();
    if (message.type === 'return') pending.resolve(message.value);
    else pending.reject(new QmpError(pending.command, message));
  }

  /** A long line is accepted only while a command that has a long reply is on its way. */
  #updateLimit(): void {
    const large =
      [...this.#pending.values()].some((pending) => pending.large) ||
      [...this.#abandoned.values()].some((isLarge) => isLarge);
    this.#framer.limit = large ? LARGE_LINE : ORDINARY_LINE;
  }

  #ended(): void {
    const bytes = this.#framer.pending;
    const error =
      bytes > 0
        ? new QmpConnectionError('QEMU closed its QMP connection in the middle of a line', {
            cause: new FramingError(`${bytes} bytes without an end`),
          })
        : new QmpConnectionError('QEMU closed its QMP connection');
    this.#fail(error);
  }

  /** Ends everything that waits, once. */
  #fail(error: QmpConnectionError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#pending.clear();
    this.#abandoned.clear();
    this.#waiters.fail(error);
    for (const queue of this.#queues) queue.end();
    this.#queues.clear();
    this.#listeners.clear();
    this.#stream.destroy();
    this.#announce(error);
  }
}

/** QEMU quits without having read the line end behind `quit`, which Linux reports as a reset of the socket. */
function brokenWords(error: NodeJS.ErrnoException): string {
  const closed = error.code === 'ECONNRESET' || error.code === 'EPIPE';
  return closed ? 'QEMU closed its QMP connection' : 'The QMP connection to QEMU failed';
}
