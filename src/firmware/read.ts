import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { codeOf } from '../sys/error-code.ts';
import { DescriptorError } from './parse.ts';

/** Descriptors are some hundred bytes; a file past this is none, and is not read. */
export const descriptorSizeLimit = 1024 * 1024;

/** Device number of /dev/null, 1:3, as stat gives it. */
const nullDevice = 0x103;

/**
 * The text of a descriptor file, or null when the file masks others: empty, or a link to /dev/null. Neither waits for
 * a FIFO nor reads a device. Throws DescriptorError with the reason. Synchronous, because every start waits for it:
 * the few small files of a host take half the time that they take by way of promises.
 */
export function readDescriptor(path: string): string | null {
  let bytes: Buffer;
  try {
    // Looked at before it is opened: opening a device node can already do something (rewind a tape).
    const status = statSync(path);
    if (status.isCharacterDevice() && status.rdev === nullDevice) return null;
    refuseOther(status);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const opened = fstatSync(fd);
      refuseOther(opened);
      bytes = readBounded(fd, opened.size);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw asDescriptorError(error);
  }
  if (bytes.length === 0) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DescriptorError('it is not valid UTF-8', { cause });
  }
}

/** Reads until the end of the file, whatever size stat gave: a file may grow while it is read. */
function readBounded(fd: number, size: number): Buffer {
  if (size > descriptorSizeLimit) tooLarge();
  let buffer = Buffer.alloc(size + 1);
  let length = 0;
  for (;;) {
    if (length === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
    const bytesRead = readSync(fd, buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length > descriptorSizeLimit) tooLarge();
  }
}

function tooLarge(): never {
  throw new DescriptorError(`it is larger than ${descriptorSizeLimit} bytes`);
}

function refuseOther(status: { isFile(): boolean; isDirectory(): boolean }): void {
  if (status.isFile()) return;
  throw new DescriptorError(status.isDirectory() ? 'it is a directory' : 'it is no regular file');
}

function asDescriptorError(error: unknown): DescriptorError {
  if (error instanceof DescriptorError) return error;
  const code = codeOf(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist, or is a link to something that does not',
    ELOOP: 'it is a loop of symbolic links',
    EACCES: 'it may not be read by this user',
    ERR_INVALID_ARG_VALUE: 'its name contains a NUL byte',
  };
  const known = typeof code === 'string' ? reasons[code] : undefined;
  return new DescriptorError(known ?? (error instanceof Error ? error.message : String(error)), {
    cause: error,
  });
}
