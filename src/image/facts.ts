import type { Usable } from '../host/facts.ts';
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
  /** A qcow2 of version 2 (`compat=0.10`), which knows fewer options than later ones. */
  readonly oldQcow2: boolean;
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

/** A directory that is shared with the guest. */
export interface DirectoryFacts {
  /** Absolute, without links. */
  readonly path: string;
  /** `device:inode`, decimal. */
  readonly identity: string;
  /** Its owner. */
  readonly uid: number;
  /** This user may not enter it. */
  readonly closed?: true;
}

/** What a directory tree boots with; paths are absolute on the host and lie in the tree, without links. */
export interface TreeKernel {
  readonly kernel: string;
  readonly initrds: readonly string[];
  /** The words of a boot loader entry. */
  readonly options: readonly string[];
  /** Path in the tree of the file that said so: an entry, or the kernel itself. */
  readonly source: string;
  /** Whether the kernel has virtiofs, built in or as a module, as its /boot/config-VERSION or its modules say; null where nothing does. */
  readonly virtiofs: 'yes' | 'module' | 'no' | null;
}

/** A tree that is to be the guest's root file system. */
export interface TreeFacts extends DirectoryFacts {
  /** null when --linux= names the kernel. */
  readonly boot: TreeKernel | null;
  /** The directory for a throw-away copy; null where none is wanted. */
  readonly copyPlace: Usable<{ readonly directory: string }> | null;
  /** Version of the systemd in it, e.g. 257; null where none was found. */
  readonly systemd: number | null;
  /** The root of a btrfs subvolume, of which there can be snapshots. */
  readonly subvolume: boolean;
}

/** The partition that holds the root file system, or /usr where only that is on the disk. */
export interface RootPartition {
  readonly kind: 'root' | 'usr';
  readonly uuid: string;
  readonly readOnly: boolean;
}
