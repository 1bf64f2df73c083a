import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { ImageError, printable } from '../errors.ts';
import { blockDeviceSize } from '../sys/block.ts';
import { codeOf } from '../sys/error-code.ts';

/** A file or block device that was opened for reading, with what its descriptor says about it. */
export interface OpenedFile extends Disposable {
  readonly type: 'file' | 'block';
  /** `device:inode`, decimal. */
  readonly identity: string;
  /** Bytes; never 0. */
  readonly size: number;
  /** `length` bytes from `offset` on, fewer where the file ends before. */
  read(offset: number, length: number): Buffer;
}

/**
 * Opens a file that the user or an image names. Takes regular files, and block devices where `block` is given; never
 * waits for a FIFO and never opens another kind of device. `what` begins the sentences ("The image", "--bind="). Throws
 * ImageError. Synchronous, because every start waits for it: a header is read in less time than a promise takes.
 */
export function openFile(
  path: string,
  what: string,
  { block = false, directoryHint }: { block?: boolean; directoryHint?: string } = {},
): OpenedFile {
  const subject = subjectOf(what, path);
  const checkKind = (status: Kind): 'file' | 'block' => {
    if (status.isFile()) return 'file';
    if (status.isBlockDevice() && block) return 'block';
    if (status.isDirectory()) {
      throw new ImageError(
        `${subject} is a directory`,
        directoryHint === undefined ? {} : { hint: directoryHint },
      );
    }
    const wanted = block ? 'neither a regular file nor a block device' : 'no regular file';
    throw new ImageError(`${subject} is ${kindName(status)}, ${wanted}`);
  };
  let descriptor: number | undefined;
  try {
    // Before it is opened: opening a device node can already do something, and opening a FIFO lets its writer go on.
    checkKind(statSync(path));
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    descriptor = fd;
    const status = fstatSync(fd, { bigint: true });
    const type = checkKind(status);
    const size = type === 'block' ? blockDeviceSize(fd) : Number(status.size);
    if (size === 0) {
      throw new ImageError(
        `${subject} is ${type === 'block' ? 'a device without a medium' : 'an empty file'}`,
      );
    }
    return {
      type,
      identity: `${status.dev}:${status.ino}`,
      size,
      read: (offset, length) => readAt(fd, subject, offset, length),
      [Symbol.dispose]: () => closeSync(fd),
    };
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw error instanceof ImageError ? error : openError(subject, error);
  }
}

/** What a sentence about a file begins with: `The image PATH`, `--extra-drive=PATH`. */
export function subjectOf(what: string, path: string): string {
  return `${what}${what.endsWith('=') ? '' : ' '}${printable(path)}`;
}

interface Kind {
  isFile(): boolean;
  isDirectory(): boolean;
  isBlockDevice(): boolean;
  isCharacterDevice(): boolean;
  isFIFO(): boolean;
}

function kindName(status: Kind): string {
  if (status.isFIFO()) return 'a FIFO';
  if (status.isCharacterDevice()) return 'a character device';
  return status.isBlockDevice() ? 'a block device' : 'a socket';
}

function readAt(fd: number, subject: string, offset: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  try {
    while (filled < length) {
      const bytesRead = readSync(fd, buffer, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
  } catch (cause) {
    throw new ImageError(`${subject} cannot be read`, { cause });
  }
  return buffer.subarray(0, filled);
}

function openError(subject: string, cause: unknown): ImageError {
  const code = codeOf(cause);
  switch (code) {
    case 'ENOENT':
      return new ImageError(`${subject} does not exist`);
    case 'ENOTDIR':
      return new ImageError(`${subject} does not exist: a part of the path is no directory`);
    case 'EACCES':
      return new ImageError(`${subject} may not be read by this user`, {
        hint: 'Change its permissions or those of the directories above it.',
      });
    case 'ELOOP':
      return new ImageError(`${subject} is a loop of symbolic links`);
    case 'ERR_INVALID_ARG_VALUE':
      return new ImageError(`${subject} contains a NUL byte in its name`);
    default:
      return new ImageError(`${subject} cannot be opened`, { cause });
  }
}
