import { MalformedError } from './values.ts';

/** The server does not take us as who we are. */
export class RefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RefusedError';
  }
}

const longest = 4096;

/**
 * What a client says first (D-Bus specification, "Authentication Protocol"): that it is who the kernel says. Without
 * a user number, which may be another one on the far side of a user namespace. All at once, as sd-bus does it.
 */
export const clientHandshake = '\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n';

/** Reads what the server answers to `clientHandshake`. */
export class Handshake {
  #bytes: Buffer = Buffer.alloc(0);

  /**
   * The bytes after the handshake once it is over, undefined as long as it is not. Throws RefusedError, and MalformedError
   * for what no D-Bus server says.
   */
  push(chunk: Buffer): Buffer | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (let end = this.#bytes.indexOf('\r\n'); end !== -1; end = this.#bytes.indexOf('\r\n')) {
      const line = this.#bytes.toString('latin1', 0, end);
      this.#bytes = this.#bytes.subarray(end + 2);
      if (/^OK( |$)/.test(line)) return this.#bytes;
      if (/^REJECTED( |$)/.test(line)) throw new RefusedError('it does not let this user in');
      // The server asks for the name that we leave out.
      if (!/^DATA ?$/.test(line)) throw new MalformedError(`the line ${JSON.stringify(line.slice(0, 80))}`);
    }
    if (this.#bytes.length > longest) throw new MalformedError(`a line of more than ${longest} bytes`);
    return undefined;
  }
}
