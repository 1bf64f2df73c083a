import { closeSync, constants, openSync } from 'node:fs';
import { check, libc } from './koffi.ts';

const ioctl = libc<[number, number, Buffer], number>('int ioctl(int, unsigned long, void *)');

/** _IOW('T', 202, int) */
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
/** struct ifreq: a name of 16 bytes with its NUL, then the flags as i16. */
const [nameBytes, requestBytes] = [16, 40];

/**
 * Opens the TAP interface `name` (at most 15 bytes), making it where it is missing; it then goes with the last descriptor.
 * Frames carry virtio headers. The caller closes it. Throws SystemCallError: EPERM without CAP_NET_ADMIN, unless the
 * interface is there and belongs to this user; EBUSY when somebody else has it; or the error of open(2).
 * Source: Documentation/networking/tuntap.rst of Linux.
 */
export function openTap(name: string): number {
  const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const request = Buffer.alloc(requestBytes);
    request.write(name, 0, nameBytes - 1, 'latin1');
    request.writeInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, nameBytes);
    check('ioctl(TUNSETIFF)', ioctl(fd, TUNSETIFF, request));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
