import {
  headerLength,
  infiniteLimit,
  keepLimit,
  maximumLength,
  maximumTarget,
  maximumTargets,
  maximumWords,
  protocolVersion,
  requestMagic,
  sessionFlag,
} from './protocol.ts';

/** A request as the child sees it; words are bytes, which need not be UTF-8. */
export interface ReceivedRequest {
  readonly path: string;
  readonly argv: readonly Buffer[];
  readonly environment: readonly Buffer[];
  readonly targets: readonly number[];
  readonly descriptorLimit: { readonly soft: number; readonly hard: number } | null;
  readonly ownSession: boolean;
}

/** Collects a message to the length that its header tells. */
export class RequestParser {
  #chunks: Buffer = Buffer.alloc(0);

  get message(): Buffer {
    return this.#chunks;
  }

  add(chunk: Uint8Array): 'incomplete' | 'complete' | 'malformed' {
    this.#chunks = Buffer.concat([this.#chunks, chunk]);
    if (this.#chunks.length < headerLength) return 'incomplete';
    const length = this.#chunks.readUInt32LE(8);
    const known =
      this.#chunks.readUInt32LE(0) === requestMagic && this.#chunks.readUInt32LE(4) === protocolVersion;
    if (!known || length < headerLength || length > maximumLength || this.#chunks.length > length)
      return 'malformed';
    return this.#chunks.length === length ? 'complete' : 'incomplete';
  }
}

/** Takes a whole message apart; null when it does not keep to protocol.ts. `received`: descriptors that came with it. */
export function decodeRequest(message: Buffer, received: number): ReceivedRequest | null {
  if (message.length < headerLength) return null;
  const [flags = 0, argc = 0, envc = 0, count = 0, zero = 0] = [12, 16, 20, 24, 28].map((at) =>
    message.readUInt32LE(at),
  );
  const bounded = argc >= 1 && argc <= maximumWords && envc <= maximumWords && count <= maximumTargets;
  if (!bounded || zero !== 0 || count !== received || message.length < headerLength + 4 * count) return null;
  const targets = Array.from({ length: count }, (_, index) => message.readUInt32LE(headerLength + 4 * index));
  if (new Set(targets).size !== count || targets.some((target) => target > maximumTarget)) return null;

  const words: Buffer[] = [];
  let at = headerLength + 4 * count;
  while (words.length < argc + envc) {
    const end = message.indexOf(0, at);
    if (end === -1) return null;
    words.push(message.subarray(at, end));
    at = end + 1;
  }
  const path = words[0]?.toString() ?? '';
  if (at !== message.length || !path.startsWith('/')) return null;
  const [soft, hard] = [message.readBigUInt64LE(32), message.readBigUInt64LE(40)];
  return {
    path,
    argv: words.slice(0, argc),
    environment: words.slice(argc),
    targets,
    descriptorLimit: soft === keepLimit ? null : { soft: number(soft), hard: number(hard) },
    ownSession: (flags & sessionFlag) !== 0,
  };
}

function number(limit: bigint): number {
  return limit >= infiniteLimit ? Infinity : Number(limit);
}
