import { check, libc } from './koffi.ts';

const getsockopt = libc<[number, number, number, Buffer, Buffer], number>(
  'int getsockopt(int, int, int, void *, void *)',
);

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Who connected, as the kernel saw it at that moment (SO_PEERCRED, unix(7)). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Of the other side of a connected Unix socket. Throws SystemCallError. */
export function peerCredentials(socket: number): PeerCredentials {
  const value = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  check('getsockopt(SO_PEERCRED)', getsockopt(socket, SOL_SOCKET, SO_PEERCRED, value, length));
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}
