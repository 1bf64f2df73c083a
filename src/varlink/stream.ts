import type { Duplex } from 'node:stream';

/** A byte stream over which varlink is spoken; the optional parts are there where it is a Unix socket of ours. */
export type VarlinkStream = Duplex & {
  /** Number of the socket's descriptor. */
  readonly fd?: number;
  /** Descriptors that came with the first `consumed` bytes and were not taken yet; the caller's from then on. */
  takeDescriptors?(consumed: number): number[];
  /** Settles when the kernel has both. */
  sendWithDescriptors?(chunk: Uint8Array, descriptors: readonly number[]): Promise<void>;
};
