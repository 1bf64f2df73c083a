import { HeaderError } from './header-error.ts';
import type { OpenedFile } from './open.ts';

const headerBytes = 512;
const signature = 0xbeda107f;
const imageTypes = { dynamic: 1, fixed: 2 };
const noUuid = Buffer.alloc(16);

/**
 * Bytes of the disk in a VDI of VirtualBox. Images that have a parent, or are one's difference, are refused. Throws
 * HeaderError. Source: block/vdi.c of QEMU.
 */
export function readVdi(file: Pick<OpenedFile, 'read'>): number {
  const header = file.read(0, headerBytes);
  if (header.length < headerBytes || header.readUInt32LE(64) !== signature) {
    throw new HeaderError('is no VDI image: its signature is missing');
  }
  if (header.readUInt32LE(68) !== 0x00010001) {
    throw new HeaderError(
      `is VDI of the unknown version ${header.readUInt16LE(70)}.${header.readUInt16LE(68)}`,
    );
  }
  const type = header.readUInt32LE(76);
  const [link, parent] = [header.subarray(424, 440), header.subarray(440, 456)];
  const alone = link.equals(noUuid) && parent.equals(noUuid);
  if ((type !== imageTypes.dynamic && type !== imageTypes.fixed) || !alone) {
    throw new HeaderError(
      'is a VDI image that is based on another one',
      'Join the two with the tools of VirtualBox.',
    );
  }
  const size = header.readBigUInt64LE(368);
  if (size === 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new HeaderError(`is damaged: its header says a disk of ${size} bytes`);
  }
  return Number(size);
}
