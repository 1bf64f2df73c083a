/** A Unix socket path that the kernel has no room for: sun_path holds 107 bytes and the final NUL (unix(7)). */
export class PathTooLongError extends Error {
  readonly path: string;
  readonly bytes: number;

  constructor(path: string) {
    const bytes = Buffer.byteLength(path);
    super(`The socket path ${path} has ${bytes} bytes, the limit is ${maximumSocketPath}`);
    this.name = 'PathTooLongError';
    this.path = path;
    this.bytes = bytes;
  }
}

export const maximumSocketPath = 107;

/**
 * sockaddr_un for a path, or for an abstract name when it starts with `@`, as $NOTIFY_SOCKET has it. Throws
 * PathTooLongError: Node 20 cuts longer ones without a word, and another socket is made or met then.
 */
export function unixAddress(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length === 0 || name.includes(0))
    throw new TypeError(`Not a socket path: ${JSON.stringify(path)}`);
  if (name.length > maximumSocketPath) throw new PathTooLongError(path);
  const abstract = name[0] === 0x40;
  if (abstract) name[0] = 0;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(1);
  return Buffer.concat([family, name, Buffer.alloc(abstract ? 0 : 1)]);
}
