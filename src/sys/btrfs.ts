import { closeSync, constants, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { check, libc } from './koffi.ts';

const ioctl = libc<[number, number, Buffer], number>('int ioctl(int, unsigned long, void *)');

/** Magic number of the file system (statfs(2)), and the inode number that the root of every subvolume has. */
export const btrfsMagic = 0x9123683e;
export const subvolumeInode = 256n;

/** _IOW(0x94, 23, struct btrfs_ioctl_vol_args_v2) and _IOW(0x94, 15, struct btrfs_ioctl_vol_args) of linux/btrfs.h. */
const [SNAP_CREATE_V2, SNAP_DESTROY] = [0x50009417, 0x5000940f];
/** Of both structures; and where the name is in each, which the descriptor of the source comes before. */
const argumentsSize = 4096;
const [nameInCreate, nameInDestroy] = [56, 8];

/** Makes a writable snapshot of a btrfs subvolume at `path`, which must not exist. Throws SystemCallError. */
export function snapshotSubvolume(source: string, path: string): void {
  withDirectory(source, (from) =>
    withDirectory(dirname(path), (directory) => {
      const request = Buffer.alloc(argumentsSize);
      request.writeBigInt64LE(BigInt(from), 0);
      request.write(basename(path), nameInCreate);
      check('ioctl(BTRFS_IOC_SNAP_CREATE_V2)', ioctl(directory, SNAP_CREATE_V2, request));
    }),
  );
}

/** Removes a btrfs subvolume with all that is in it. Throws SystemCallError; EPERM for an ordinary user on most hosts. */
export function destroySubvolume(path: string): void {
  withDirectory(dirname(path), (directory) => {
    const request = Buffer.alloc(argumentsSize);
    request.write(basename(path), nameInDestroy);
    check('ioctl(BTRFS_IOC_SNAP_DESTROY)', ioctl(directory, SNAP_DESTROY, request));
  });
}

function withDirectory(path: string, action: (fd: number) => void): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    action(fd);
  } finally {
    closeSync(fd);
  }
}
