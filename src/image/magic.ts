import type { ImageFormat } from '../settings/settings.ts';
import { isQcow2 } from './qcow2.ts';

/** What the first bytes of a file say that is said to be a raw disk. */
export type RawContent =
  | { readonly kind: 'disk' }
  | { readonly kind: 'image'; readonly format: ImageFormat }
  /** A format that has to be converted; `qemuName` as qemu-img calls it. */
  | { readonly kind: 'foreign'; readonly name: string; readonly qemuName: string }
  | { readonly kind: 'compressed'; readonly name: string; readonly program: string };

/** As much of the file as recognizeRaw wants to see. */
export const magicBytes = 512;

const signatures: readonly { at: number; bytes: string; content: RawContent }[] = [
  ...(
    [
      ['KDMV', 'VMDK', 'vmdk'],
      ['COWD', 'VMDK', 'vmdk'],
      ['# Disk DescriptorFile', 'VMDK', 'vmdk'],
      ['vhdxfile', 'VHDX', 'vhdx'],
      ['conectix', 'VHD', 'vpc'],
      ['QED\0', 'QED', 'qed'],
      ['WithoutFreeSpace', 'Parallels', 'parallels'],
      ['WithouFreSpacExt', 'Parallels', 'parallels'],
    ] as const
  ).map(([bytes, name, qemuName]) => ({
    at: 0,
    bytes,
    content: { kind: 'foreign' as const, name, qemuName },
  })),
  { at: 64, bytes: '\x7f\x10\xda\xbe', content: { kind: 'foreign', name: 'VDI', qemuName: 'vdi' } },
  ...(
    [
      ['\x1f\x8b\x08', 'gzip', 'gunzip'],
      ['\xfd7zXZ\0', 'xz', 'unxz'],
      ['\x28\xb5\x2f\xfd', 'Zstandard', 'unzstd'],
      ['BZh', 'bzip2', 'bunzip2'],
    ] as const
  ).map(([bytes, name, program]) => ({
    at: 0,
    bytes,
    content: { kind: 'compressed' as const, name, program },
  })),
];

/** Names the format of a file by its first bytes. Pure. Used for messages only, never to choose a format. */
export function recognizeRaw(start: Buffer): RawContent {
  if (isQcow2(start)) return { kind: 'image', format: 'qcow2' };
  for (const { at, bytes, content } of signatures) {
    if (start.subarray(at, at + bytes.length).equals(Buffer.from(bytes, 'latin1'))) return content;
  }
  return { kind: 'disk' };
}
