import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { check, libc, SystemCallError } from './koffi.ts';

const socket = libc<[number, number, number], number>('int socket(int, int, int)');
const bind = libc<[number, Buffer, number], number>('int bind(int, void *, unsigned int)');
const listen = libc<[number, number], number>('int listen(int, int)');
const getsockname = libc<[number, Buffer, Buffer], number>('int getsockname(int, void *, void *)');
const ioctl = libc<[number, number, Buffer], number>('int ioctl(int, unsigned long, void *)');
const getpeername = libc<[number, Buffer, Buffer], number>('int getpeername(int, void *, void *)');

const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** VMADDR_CID_ANY and VMADDR_PORT_ANY */
const ANY = 0xffffffff;
/** _IOW(0xAF, 0x60, __u64) */
const VHOST_VSOCK_SET_GUEST_CID = 0x4008af60;

/** The CID by which a guest reaches its host (vsock(7), VMADDR_CID_HOST). */
export const hostCid = 2;

/** A listening AF_VSOCK stream socket on a port of the kernel's choice, close-on-exec and non-blocking. */
export interface VsockListener {
  /** The caller closes it, or hands it to acceptConnections. */
  readonly fd: number;
  readonly port: number;
}

/** Listens for guests. Throws SystemCallError, EAFNOSUPPORT where the kernel has no vsock. */
export function listenVsock(backlog = 16): VsockListener {
  const fd = check('socket', socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  try {
    const address = vsockAddress(ANY, ANY);
    check('bind', bind(fd, address, address.length));
    check('listen', listen(fd, backlog));
    return { fd, port: addressOf('getsockname', getsockname, fd).port };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** CID of the other side of a connected AF_VSOCK socket. Throws SystemCallError. */
export function peerCid(fd: number): number {
  return addressOf('getpeername', getpeername, fd).cid;
}

/**
 * Gives the machine of an open /dev/vhost-vsock its CID, which no other one of the host has until the descriptor is closed
 * (linux/vhost.h). Whether it was free; the same machine may ask again. Throws SystemCallError.
 */
export function claimGuestCid(fd: number, cid: number): boolean {
  const argument = Buffer.alloc(8);
  argument.writeBigUInt64LE(BigInt(cid));
  try {
    check('ioctl(VHOST_VSOCK_SET_GUEST_CID)', ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, argument));
    return true;
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === constants.errno.EADDRINUSE) return false;
    throw error;
  }
}

/** struct sockaddr_vm of linux/vm_sockets.h. */
function vsockAddress(cid: number, port: number): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_VSOCK, 0);
  address.writeUInt32LE(port, 4);
  address.writeUInt32LE(cid, 8);
  return address;
}

function addressOf(
  name: string,
  call: typeof getsockname,
  fd: number,
): { readonly cid: number; readonly port: number } {
  const address = vsockAddress(0, 0);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(address.length);
  check(name, call(fd, address, length));
  return { port: address.readUInt32LE(4), cid: address.readUInt32LE(8) };
}
