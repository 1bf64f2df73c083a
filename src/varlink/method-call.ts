import type { Duplex } from 'node:stream';
import type { JsonObject } from './messages.ts';
import type { PeerCredentials } from './unix.ts';

export interface VarlinkReplyOptions {
  /** More replies follow; only for a call with `more`, others throw the VarlinkError org.varlink.service.ExpectedMore. */
  readonly continues?: boolean | undefined;
  /** Sent with the reply. They stay the method's and must be open until `reply` settles. */
  readonly descriptors?: readonly number[] | undefined;
}

/** A call as the method that carries it out sees it. */
export interface VarlinkMethodCall {
  /** The full name. */
  readonly method: string;
  /** Checked against the description of the method. */
  readonly parameters: JsonObject;
  readonly more: boolean;
  readonly oneway: boolean;
  readonly upgrade: boolean;
  /** Came with the call. A method takes those it keeps out of the array; the rest is closed when it has settled. */
  readonly descriptors: number[];
  readonly peer: PeerCredentials | null;
  /** Aborted when the client is gone or the server is closed. */
  readonly signal: AbortSignal;
  /**
   * Sends a reply, the last one unless it `continues`; nothing for a `oneway` call. Settles when the kernel has it:
   * await it, so that a slow reader slows the method. Throws VarlinkClosedError when the client is gone or does not read.
   */
  reply(parameters?: object, options?: VarlinkReplyOptions): Promise<void>;
  /**
   * Sends the last reply of an `upgrade` call and hands the connection over, which the method closes when it has done
   * with it; it is paused. Bytes that came behind the call are still in it. Throws the VarlinkError org.varlink.service.ExpectedUpgrade when the
   * call is another one.
   */
  takeOver(parameters?: object, options?: { readonly descriptors?: readonly number[] }): Promise<Duplex>;
}
