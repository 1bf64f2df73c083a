import type { ImageFormat } from '../settings/settings.ts';

/** One file of an image: a raw image has one layer, a qcow2 with backing files several, the top one first. */
export interface ImageLayer {
  /** Absolute. */
  readonly path: string;
  readonly format: ImageFormat;
  /** A regular file or a block device. */
  readonly type: 'file' | 'block';
  /** `device:inode`, decimal, of the file as it was opened; what is opened for QEMU must be the same file. */
  readonly identity: string;
  /** Bytes of the file or device. */
  readonly size: number;
  /** Bytes that the guest sees. */
  readonly virtualSize: number;
  /** We may write to it. */
  readonly writable: boolean;
  /** A qcow2 with an external data file names it here; null otherwise. */
  readonly dataFile: string | null;
}

export interface ImageFacts {
  readonly layers: readonly [ImageLayer, ...ImageLayer[]];
  /** A raw image whose first bytes say qcow2: worth one warning. */
  readonly looksLike: ImageFormat | null;
}

/** What a kernel file is: a PE binary without UKI sections, a unified kernel image, a bare kernel of another kind. */
export interface KernelFacts {
  readonly path: string;
  readonly type: 'pe' | 'uki' | 'other';
  readonly size: number;
}
