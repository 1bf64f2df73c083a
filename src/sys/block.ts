import { check, libc } from './koffi.ts';

const ioctl = libc<[number, number, Buffer], number>('int ioctl(int, unsigned long, void *)');

/** _IOR(0x12, 114, size_t) on every 64-bit platform. */
const BLKGETSIZE64 = 0x80081272;

/**
 * Bytes of the block device behind a descriptor; stat gives 0 for one. Throws SystemCallError (ENOTTY for what is no
 * block device). Source: ioctl_list(2), linux/fs.h.
 */
export function blockDeviceSize(fd: number): number {
  const size = Buffer.alloc(8);
  check('ioctl', ioctl(fd, BLKGETSIZE64, size));
  return Number(size.readBigUInt64LE());
}
