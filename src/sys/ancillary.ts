import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { koffi, libc, SystemCallError } from './koffi.ts';

const sendmsg = libc<[number, Buffer, number], number>('long sendmsg(int, void *, int)');
const recvmsg = libc<[number, Buffer, number], number>('long recvmsg(int, void *, int)');

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_CTRUNC = 8;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** sizeof(struct cmsghdr) on 64-bit Linux: u64 length, i32 level, i32 type. */
const CMSG_HEADER = 16;

/** SCM_MAX_FD of the kernel: more in one message is EINVAL. */
export const maximumDescriptors = 253;

/** The kernel could not give us all descriptors of a message, mostly because RLIMIT_NOFILE is reached. */
export class DescriptorsTruncatedError extends Error {
  constructor() {
    super('Descriptors that were sent to us got lost: the limit of open files is reached');
    this.name = 'DescriptorsTruncatedError';
  }
}

/**
 * Sends bytes with descriptors attached to the first of them (sendmsg(2), SCM_RIGHTS; unix(7)), without blocking.
 * Gives the number of bytes that were taken, or null when the socket is full: nothing was sent then. The descriptors
 * stay open here. Throws SystemCallError, RangeError for too many or for descriptors without a byte to carry them.
 */
export function sendDescriptors(
  socket: number,
  data: Uint8Array,
  descriptors: readonly number[],
): number | null {
  if (descriptors.length > maximumDescriptors) {
    throw new RangeError(
      `${descriptors.length} descriptors in a message, ${maximumDescriptors} are possible`,
    );
  }
  if (data.length === 0) throw new RangeError('A message on a stream socket needs at least one byte');
  let control: Buffer | undefined;
  if (descriptors.length > 0) {
    control = Buffer.alloc(controlSpace(descriptors.length));
    control.writeBigUInt64LE(BigInt(CMSG_HEADER + 4 * descriptors.length), 0);
    control.writeInt32LE(SOL_SOCKET, 8);
    control.writeInt32LE(SCM_RIGHTS, 12);
    for (const [index, fd] of descriptors.entries()) control.writeInt32LE(fd, CMSG_HEADER + 4 * index);
  }
  const { header, keep } = messageHeader(data, control);
  for (;;) {
    const sent = sendmsg(socket, header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent !== -1) {
      keep();
      return sent;
    }
    const errno = koffi().errno();
    if (errno === constants.errno.EAGAIN) return null;
    if (errno !== constants.errno.EINTR) throw new SystemCallError('sendmsg', errno);
  }
}

export interface ReceivedMessage {
  /** Bytes now in the buffer; 0 is the end of the stream. */
  readonly length: number;
  /** Ours from now on, close-on-exec. They belong to the last of the bytes: the kernel may put plain bytes before. */
  readonly descriptors: readonly number[];
}

let controlBuffer: Buffer | undefined;

/**
 * Receives bytes and descriptors (recvmsg(2)) without blocking; null when there is nothing yet. Throws
 * SystemCallError, DescriptorsTruncatedError (what did arrive is closed).
 */
export function receiveDescriptors(socket: number, buffer: Uint8Array): ReceivedMessage | null {
  controlBuffer ??= Buffer.alloc(controlSpace(maximumDescriptors));
  const control = controlBuffer;
  const { header, keep } = messageHeader(buffer, control);
  let length = -1;
  while (length === -1) {
    length = recvmsg(socket, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length !== -1) break;
    const errno = koffi().errno();
    if (errno === constants.errno.EAGAIN) return null;
    if (errno !== constants.errno.EINTR) throw new SystemCallError('recvmsg', errno);
  }
  keep();
  const descriptors = parseControl(control.subarray(0, Number(header.readBigUInt64LE(40))));
  if ((header.readInt32LE(48) & MSG_CTRUNC) !== 0) {
    for (const fd of descriptors) closeSync(fd);
    throw new DescriptorsTruncatedError();
  }
  return { length, descriptors };
}

function parseControl(control: Buffer): number[] {
  const descriptors: number[] = [];
  for (let at = 0; at + CMSG_HEADER <= control.length; ) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < CMSG_HEADER || at + length > control.length) break;
    if (control.readInt32LE(at + 8) === SOL_SOCKET && control.readInt32LE(at + 12) === SCM_RIGHTS) {
      for (let fd = at + CMSG_HEADER; fd + 4 <= at + length; fd += 4)
        descriptors.push(control.readInt32LE(fd));
    }
    at += (length + 7) & ~7;
  }
  return descriptors;
}

function controlSpace(count: number): number {
  return CMSG_HEADER + ((4 * count + 7) & ~7);
}

/**
 * struct msghdr of 64-bit Linux (little-endian, as every platform of Node on Linux but s390x). It holds bare addresses
 * of the buffers: `keep` is to be called after the system call, so that none of them is collected before.
 */
function messageHeader(data: Uint8Array, control: Buffer | undefined): { header: Buffer; keep: () => void } {
  const header = Buffer.alloc(56);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(koffi().address(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  header.writeBigUInt64LE(koffi().address(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  if (control !== undefined) {
    header.writeBigUInt64LE(koffi().address(control), 32);
    header.writeBigUInt64LE(BigInt(control.length), 40);
  }
  const kept = { data, vector, control };
  return { header, keep: () => void kept.vector.length };
}
