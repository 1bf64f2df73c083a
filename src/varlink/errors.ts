/** Why a call has no result; every error that a varlink client or server tells its user is one of these. */
export class VarlinkFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/**
 * An error reply. A client's call rejects with it; a server's method throws it. `error` is the full name
 * ("io.systemd.Machine.NoSuchMachine"), `parameters` is what the interface says that it carries.
 */
export class VarlinkError extends VarlinkFailure {
  readonly error: string;
  readonly parameters: { readonly [name: string]: unknown };

  constructor(error: string, parameters: { readonly [name: string]: unknown } = {}) {
    super(Object.keys(parameters).length === 0 ? error : `${error} ${shortened(JSON.stringify(parameters))}`);
    this.error = error;
    this.parameters = parameters;
  }
}

/** Nobody could be connected to: ENOENT, ECONNREFUSED, EACCES, ENAMETOOLONG. */
export class VarlinkConnectError extends VarlinkFailure {
  readonly path: string;
  readonly code: string;

  constructor(path: string, code: string, options?: ErrorOptions) {
    super(`No varlink connection to ${path}: ${code}`, options);
    this.path = path;
    this.code = code;
  }
}

/** The peer did not answer in time. */
export class VarlinkTimeoutError extends VarlinkFailure {}

/** The connection is gone: the peer or we closed it, or it broke down. */
export class VarlinkClosedError extends VarlinkFailure {}

/** What the peer sent is not varlink, or passes a limit; the connection is closed. */
export class VarlinkProtocolError extends VarlinkFailure {}

function shortened(text: string): string {
  return text.length <= 500 ? text : `${text.slice(0, 500)}…`;
}
