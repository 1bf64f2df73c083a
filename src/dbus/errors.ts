/** Something went wrong on a D-Bus connection. The message names the address of the bus. */
export abstract class BusFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A method call was answered with an error. The message ends with the peer's own words. */
export class BusError extends BusFailure {
  /** The error's name on the bus: `org.freedesktop.systemd1.NoSuchUnit`. */
  readonly error: string;
  /** The peer's own words; may be empty. */
  readonly description: string;

  constructor(message: string, { error, description }: { error: string; description: string }) {
    super(`${message}: ${description === '' ? error : description}`);
    this.error = error;
    this.description = description;
  }
}

/** No answer in time. */
export class BusTimeoutError extends BusFailure {}

/** The connection is gone. */
export class BusClosedError extends BusFailure {}

/** No connection came about: no socket, nobody listens, the bus refuses us. */
export class BusConnectError extends BusFailure {}

/** What came is no D-Bus, or an answer has other types than its interface says. */
export class BusProtocolError extends BusFailure {}

/** A job of the service manager did not end well. */
export class JobError extends BusFailure {
  readonly unit: string;
  /** The manager's word: `failed`, `timeout`, `dependency`, `canceled`, ... (org.freedesktop.systemd1(5)). */
  readonly result: string;

  constructor(action: string, unit: string, result: string) {
    super(`The service manager's job to ${action} ${unit} ended with the result "${result}"`);
    this.unit = unit;
    this.result = result;
  }
}
