import type { Bus } from '../dbus/bus.ts';
import type { VarlinkClient } from '../varlink/client.ts';

/** Milliseconds that a bus or a service gets for its answer; a manager that works answers in a few. */
const answerTimeout = 10_000;

/**
 * Connections to the host's services, each made when it is first needed and shared from then on: a start that needs no
 * bus never loads the code for one. Disposal closes them.
 */
export class Connections implements AsyncDisposable {
  readonly #buses = new Map<string, Promise<Bus>>();
  readonly #services = new Map<string, Promise<VarlinkClient>>();
  readonly #signal: AbortSignal;

  /** Gives up connections that are still being made, and whatever is asked over them before the machine runs. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** `signal` gives up connections that are still being made. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Throws BusFailure. */
  bus(address: string): Promise<Bus> {
    return shared(this.#buses, address, async () => {
      const { Bus } = await import('../dbus/bus.ts');
      return Bus.connect(address, { timeout: answerTimeout, signal: this.#signal });
    });
  }

  /** The varlink service on this socket. Throws VarlinkFailure, or the system's error where nobody listens. */
  service(socket: string): Promise<VarlinkClient> {
    return shared(this.#services, socket, async () => {
      const { VarlinkClient } = await import('../varlink/client.ts');
      return VarlinkClient.connect(socket, { timeout: answerTimeout, signal: this.#signal });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#buses.values(), ...this.#services.values()];
    this.#buses.clear();
    this.#services.clear();
    await Promise.all(
      open.map(async (connection) => {
        const made = await connection.catch(() => null);
        await made?.[Symbol.asyncDispose]();
      }),
    );
  }
}

/** A connection that could not be made, or has been lost, is made anew by the next who asks. */
function shared<T extends { readonly closed: Promise<unknown> }>(
  map: Map<string, Promise<T>>,
  key: string,
  connect: () => Promise<T>,
): Promise<T> {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = connect();
  map.set(key, made);
  const forget = () => {
    if (map.get(key) === made) map.delete(key);
  };
  made.then((connection) => connection.closed.then(forget), forget);
  return made;
}
