import { createConnection } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseBusAddress } from './address.ts';
import {
  BusClosedError,
  BusConnectError,
  BusError,
  type BusFailure,
  BusProtocolError,
  BusTimeoutError,
} from './errors.ts';
import { clientHandshake, Handshake, RefusedError } from './handshake.ts';
import { encodeCall, type Message, MessageFramer, messageType } from './message.ts';
import { asString } from './reply.ts';
import { type SignalMatch, signalMatches, signalRule } from './signal-match.ts';
import { decodeBody, MalformedError } from './values.ts';
import { type Patience, within } from './within.ts';

export { systemBusAddress, userBusAddress } from './address.ts';

/** Milliseconds; what libdbus and sd-bus wait. */
const defaultTimeout = 25_000;

/** Bytes. The specification allows 128 MiB; nothing that we ask for comes near this. */
const messageLimit = 1024 ** 2;

/** The name, and the interface, of the bus itself. */
const busName = 'org.freedesktop.DBus';
const busPath = '/org/freedesktop/DBus';

export interface BusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** Of the body; nothing for a call without values. */
  readonly signature?: string;
  /** A `v` is given as `{ signature, value }`, a dictionary as object, a 64-bit number as bigint or number. */
  readonly body?: readonly unknown[];
}

export interface SignalMessage {
  readonly path: string;
  readonly body: readonly unknown[];
}

interface Pending {
  readonly call: BusCall;
  readonly resolve: (body: readonly unknown[]) => void;
  readonly reject: (error: Error) => void;
}

interface Subscription {
  readonly match: SignalMatch;
  readonly handler: (message: SignalMessage) => void;
}

/**
 * A connection to a D-Bus message bus. Every call has a deadline, and fails when the connection does. What the bus sends
 * is checked and bounded: it may be that of a guest. Descriptors are not passed.
 */
export class Bus implements AsyncDisposable {
  /** Settles, and never rejects, when the connection is gone: with the reason, or null when it was closed here. */
  readonly closed: Promise<Error | null>;

  readonly #stream: Duplex;
  readonly #place: string;
  readonly #timeout: number;
  readonly #framer = new MessageFramer(messageLimit);
  readonly #pending = new Map<number, Pending>();
  readonly #subscriptions = new Set<Subscription>();
  /** Who has the well-known names whose signals somebody listens to; a signal itself tells the unique name only. */
  readonly #owners = new Map<string, string>();
  readonly #followed = new Map<string, Promise<unknown>>();
  #handshake: Handshake | undefined = new Handshake();
  #failure: BusFailure | undefined;
  #announce: (error: Error | null) => void = () => {};
  #lastSerial = 0;
  #uniqueName = '';

  private constructor(stream: Duplex, place: string, timeout: number) {
    this.#stream = stream;
    this.#place = place;
    this.#timeout = timeout;
    this.closed = new Promise((resolve) => {
      this.#announce = resolve;
    });
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('end', () => this.#ended());
    // The name of an abstract socket begins with a NUL.
    stream.on('error', (error) => this.#fail(BusClosedError, error.message.replaceAll('\0', '@'), error));
    stream.on('close', () => this.#ended());
    // A stream that has ended already says so no more.
    if (stream.destroyed || stream.readableEnded) this.#ended();
    else stream.write(clientHandshake);
  }

  /**
   * Connects to the first bus of an address that lets us in (D-Bus specification, "Server Addresses"; Unix sockets only),
   * or over a stream, which is taken over. `timeout`, milliseconds, is for all of it and then for every call. Throws
   * BusConnectError, BusTimeoutError, or the signal's reason.
   */
  static async connect(
    address: string | Duplex,
    { timeout = defaultTimeout, signal }: Patience = {},
  ): Promise<Bus> {
    signal?.throwIfAborted();
    if (typeof address !== 'string') {
      return Bus.#greet(new Bus(address, 'the bus on a given stream', timeout), { timeout, signal });
    }
    const end = performance.now() + timeout;
    const failures: BusConnectError[] = [];
    for (const { text, path } of parseBusAddress(address)) {
      const bus = new Bus(createConnection({ path }), `the bus at ${text}`, timeout);
      try {
        return await Bus.#greet(bus, { timeout: Math.max(0, end - performance.now()), signal });
      } catch (error) {
        if (!(error instanceof BusConnectError)) throw error;
        failures.push(error);
      }
    }
    const [failure] = failures;
    if (failure !== undefined && failures.length === 1) throw failure;
    throw new BusConnectError(failures.map((one) => one.message).join('; '), {
      cause: new AggregateError(failures),
    });
  }

  /** Says hello, without which a bus listens to nothing else. Closes the connection when that fails. */
  static async #greet(bus: Bus, patience: Patience): Promise<Bus> {
    try {
      const [name] = await bus.call(
        { destination: busName, path: busPath, interface: busName, member: 'Hello' },
        patience,
      );
      bus.#uniqueName = asString(name, 'Our name on the bus');
      return bus;
    } catch (error) {
      await bus[Symbol.asyncDispose]();
      // The bus does not want to talk to us, or not sensibly.
      if (!(error instanceof BusError || error instanceof BusProtocolError)) throw error;
      throw new BusConnectError(`Cannot connect to ${bus.#place}: ${error.message}`, { cause: error });
    }
  }

  /** Our name on the bus, like `:1.42`. */
  get uniqueName(): string {
    return this.#uniqueName;
  }

  /** For messages: "the bus at unix:path=/run/dbus/system_bus_socket". */
  get place(): string {
    return this.#place;
  }

  /**
   * Calls a method and waits for its answer: values as decodeBody has them. `timeout` in milliseconds, that of the
   * connection unless told. Throws BusError for an answer that is an error, BusTimeoutError, the one error that ended the
   * connection (BusClosedError, BusProtocolError), the signal's reason, TypeError for values that do not fit the signature.
   */
  call(call: BusCall, patience: Patience = {}): Promise<readonly unknown[]> {
    return this.#call(call, patience);
  }

  /**
   * Calls `handler` for every signal that fits, in the order in which they come, from before this resolves until disposal.
   * What the handler throws goes to the process. Throws as `call` does.
   */
  async onSignal(
    match: SignalMatch,
    handler: (message: SignalMessage) => void,
    patience: Patience = {},
  ): Promise<AsyncDisposable> {
    const subscription = { match, handler };
    const rule = signalRule(match);
    this.#subscriptions.add(subscription);
    try {
      // Others may wait for the same name with less patience.
      const both = Promise.all([this.#follow(match.sender), this.#callBus('AddMatch', rule)]);
      await within(both, patience, () => this.#late('AddMatch', patience.timeout));
    } catch (error) {
      this.#subscriptions.delete(subscription);
      throw error;
    }
    return {
      [Symbol.asyncDispose]: async () => {
        if (!this.#subscriptions.delete(subscription) || this.#failure !== undefined) return;
        // The bus may be gone by now; then so is the rule.
        await this.#callBus('RemoveMatch', rule).catch(() => {});
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(null);
    if (this.#stream.closed) return;
    await new Promise<void>((resolve) => this.#stream.once('close', resolve));
  }

  /** `arrived` sees the answer before anything that comes after it is read. */
  async #call(
    call: BusCall,
    { timeout = this.#timeout, signal }: Patience,
    arrived: (body: readonly unknown[]) => void = () => {},
  ): Promise<readonly unknown[]> {
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    this.#lastSerial = this.#lastSerial === 2 ** 32 - 1 ? 1 : this.#lastSerial + 1;
    const serial = this.#lastSerial;
    const bytes = encodeCall(serial, call);
    const answer = new Promise<readonly unknown[]>((resolve, reject) => {
      const settled = (body: readonly unknown[]) => {
        arrived(body);
        resolve(body);
      };
      this.#pending.set(serial, { call, resolve: settled, reject });
      this.#stream.write(bytes);
    });
    try {
      return await within(answer, { timeout, signal }, () =>
        this.#late(`${call.interface}.${call.member}`, timeout),
      );
    } finally {
      this.#pending.delete(serial);
    }
  }

  #late(what: string, timeout = this.#timeout): BusTimeoutError {
    const seconds = (timeout / 1000).toFixed(1);
    return new BusTimeoutError(`${capital(this.#place)} did not answer ${what} within ${seconds} s`);
  }

  #callBus(
    member: string,
    text: string,
    arrived?: (body: readonly unknown[]) => void,
  ): Promise<readonly unknown[]> {
    const call = { destination: busName, path: busPath, interface: busName, member, signature: 's' };
    return this.#call({ ...call, body: [text] }, {}, arrived);
  }

  /** From the end of this on, `#owners` tells who has the name. */
  #follow(name: string | undefined): Promise<unknown> {
    if (name === undefined || name === busName || name.startsWith(':')) return Promise.resolve();
    const known = this.#followed.get(name);
    if (known !== undefined) return known;
    const owned = (owner: unknown) => this.#owners.set(name, String(owner));
    const match = { sender: busName, interface: busName, member: 'NameOwnerChanged', arg0: name };
    const following = Promise.all([
      this.onSignal(match, ({ body: [, , owner] }) => owned(owner)),
      this.#callBus('GetNameOwner', name, ([owner]) => owned(owner)).catch((error: unknown) => {
        // Nobody has it yet, which is no error: the service may be started later.
        if (!(error instanceof BusError)) throw error;
      }),
    ]).catch((error: unknown) => {
      this.#followed.delete(name);
      throw error;
    });
    this.#followed.set(name, following);
    return following;
  }

  #receive(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      const rest = this.#handshake === undefined ? chunk : this.#handshake.push(chunk);
      if (rest === undefined) return;
      this.#handshake = undefined;
      for (const message of this.#framer.push(rest)) {
        this.#dispatch(message);
        if (this.#failure !== undefined) return;
      }
    } catch (error) {
      if (error instanceof RefusedError) this.#fail(BusClosedError, error.message, error);
      else if (error instanceof MalformedError) {
        this.#fail(BusProtocolError, `what came is no D-Bus: ${error.message}`, error);
      } else throw error;
    }
  }

  #dispatch(message: Message): void {
    if (message.type === messageType.signal) this.#signal(message);
    if (message.type === messageType.return || message.type === messageType.error) this.#answer(message);
  }

  #answer(message: Message): void {
    const pending = this.#pending.get(message.replySerial);
    // Given up by the caller.
    if (pending === undefined) return;
    const body = decodeBody(message.signature, message.body, message.endian);
    this.#pending.delete(message.replySerial);
    if (message.type === messageType.return) {
      pending.resolve(body);
      return;
    }
    const { interface: name, member, destination } = pending.call;
    const [description] = body;
    pending.reject(
      new BusError(`${destination} on ${this.#place} refused ${name}.${member}`, {
        error: message.error,
        description: typeof description === 'string' ? description : '',
      }),
    );
  }

  #signal(message: Message): void {
    const wanted = [...this.#subscriptions].filter(({ match }) =>
      signalMatches(match, this.#owners.get(match.sender ?? ''), message),
    );
    if (wanted.length === 0) return;
    const body = decodeBody(message.signature, message.body, message.endian);
    for (const { match, handler } of wanted) {
      if (match.arg0 === undefined || match.arg0 === body[0]) handler({ path: message.path, body });
    }
  }

  #ended(): void {
    const middle = this.#framer.pending > 0 ? ' in the middle of a message' : '';
    this.#fail(BusClosedError, `the other side closed it${middle}`);
  }

  /** Ends everything that waits, once; `kind` is null when we want it so ourselves. */
  #fail(
    kind: typeof BusClosedError | typeof BusProtocolError | null,
    reason = 'it was closed here',
    cause?: Error,
  ): void {
    if (this.#failure !== undefined) return;
    const options = cause && { cause };
    this.#failure =
      kind !== null && this.#uniqueName === ''
        ? new BusConnectError(`Cannot connect to ${this.#place}: ${reason}`, options)
        : new (kind ?? BusClosedError)(`The connection to ${this.#place} is gone: ${reason}`, options);
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
    this.#subscriptions.clear();
    this.#stream.destroy();
    this.#announce(kind && this.#failure);
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
