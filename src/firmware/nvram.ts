import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FileError, FirmwareError, printable } from '../errors.ts';
import { type Owner, unsafePlace, unsafeState } from '../host/state-place.ts';
import { codeOf } from '../sys/error-code.ts';
import { getAttribute, setAttribute } from '../sys/xattr.ts';
import { parseVariableStore, sameLayout, type VariableStore, variableStoreBytes } from './variable-store.ts';

/** Absolute paths: the state to make or check, the template that it is made from, the firmware that it is for. */
export interface NvramState {
  readonly path: string;
  readonly template: string;
  readonly firmware: string;
  /** The template that the firmware comes with, where another one was asked for. */
  readonly ownTemplate?: string;
  /** Decide besides root what the machine's image or tree is (host/state-place.ts); not said: nobody. */
  readonly holders?: readonly Owner[];
}

/** Extended attribute of a state with the path of the firmware that it was made for. */
const firmwareAttribute = 'user.vmspawn.firmware';

/** 64 MiB is the largest flash that QEMU's virt machine has; q35 takes 8 MiB for code and variables together. */
const templateSizeLimit = 64 * 1024 * 1024;
const copyChunk = 1024 * 1024;
const otherFirmware =
  'Use that firmware (--firmware=PATH), or remove the file: the variables of the guest are lost then.';
const notThere = 'Name another file with --efi-nvram-state=, or say --efi-nvram-state=off.';
const anotherTemplate = 'Name another file with --efi-nvram-template=.';
const elsewhere = 'Remove it, or name another file with --efi-nvram-state=.';

/**
 * Makes the persistent variable store of a machine from the firmware's template, or checks the one that is there. A
 * new one has mode 0600, appears complete or not at all, and has the template's modification time, by which a later
 * build of the firmware can be told. Throws FirmwareError for a template or a state that cannot be used, FileError
 * when the state cannot be made (nothing is left behind then).
 */
export async function prepareNvram(state: NvramState): Promise<'created' | 'existing'> {
  return await withTemplate(state, async (source) => {
    if ((await look(state, source)) === 'existing') return 'existing';
    if ((await create(state.path, source, state.firmware)) === 'created') return 'created';
    await checkState(state, source);
    return 'existing';
  });
}

/** Whether the store can be used or made, as `prepareNvram` would find it, but makes nothing. Throws what that throws. */
export async function checkNvram(state: NvramState): Promise<'missing' | 'existing'> {
  return await withTemplate(state, (source) => look(state, source));
}

/**
 * Whether a template can take the place of the firmware's own one, for variables that are not kept. Throws FirmwareError for
 * what is no flash of the same size and layout.
 */
export async function checkTemplate(state: Pick<NvramState, 'template' | 'ownTemplate'>): Promise<void> {
  await withTemplate(state, async () => {});
}

async function look(state: NvramState, source: FileHandle): Promise<'missing' | 'existing'> {
  const { path } = state;
  const place = unsafePlaceOf(state);
  if (place !== null) {
    throw new FirmwareError(`The NVRAM state ${printable(path)} ${printable(place)}`, { hint: notThere });
  }
  if (!(await exists(path))) return 'missing';
  await checkState(state, source);
  return 'existing';
}

async function withTemplate<Result>(
  { template, ownTemplate }: Pick<NvramState, 'template' | 'ownTemplate'>,
  use: (source: FileHandle) => Promise<Result>,
): Promise<Result> {
  const source = await openTemplate(template);
  try {
    const { size } = await source.stat();
    if (size === 0 || size > templateSizeLimit) {
      throw new FirmwareError(
        `The NVRAM template ${printable(template)} has ${size} bytes, which no flash has`,
        { hint: anotherTemplate },
      );
    }
    if (ownTemplate !== undefined) await compareTemplates(template, source, ownTemplate);
    return await use(source);
  } finally {
    await source.close();
  }
}

/** What does not fit would be kept as state, which every later start refuses. */
async function compareTemplates(template: string, source: FileHandle, ownTemplate: string): Promise<void> {
  let own: FileHandle;
  try {
    own = await openTemplate(ownTemplate);
  } catch {
    // That it is missing may be why another one is given.
    return;
  }
  try {
    const [layout, expected] = [await layoutOf(source), await layoutOf(own)];
    const sameFormat = (await isQcow2(source)) === (await isQcow2(own));
    const fits = sameFormat && (expected === null || (layout !== null && sameLayout(layout, expected)));
    if (fits && (await flashSize(source)) === (await flashSize(own))) return;
    throw new FirmwareError(
      `--efi-nvram-template=${printable(template)} does not fit the firmware, whose own template is ${printable(ownTemplate)}`,
      { hint: 'Take one of the same size, format and layout, or name its firmware with --firmware=.' },
    );
  } finally {
    await own.close();
  }
}

async function openTemplate(template: string): Promise<FileHandle> {
  try {
    const file = await open(template, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    throw new FirmwareError(`The NVRAM template ${printable(template)} cannot be read`, {
      cause,
      hint: anotherTemplate,
    });
  }
  throw new FirmwareError(`The NVRAM template ${printable(template)} is no regular file`, {
    hint: anotherTemplate,
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return false;
    throw new FileError(`The NVRAM state ${printable(path)} cannot be looked at`, { cause });
  }
}

/**
 * A state file lies beside an image, where others may have put something: it must be a file of ours (or root's) that
 * has no other name, is not reached through a link, is nobody else's to write, and is laid out like the template.
 */
async function checkState({ path, template }: NvramState, source: FileHandle): Promise<void> {
  const refuse = (reason: string, hint: string, cause?: unknown): never => {
    throw new FirmwareError(`The NVRAM state ${printable(path)} ${reason}`, {
      hint,
      ...(cause === undefined ? {} : { cause }),
    });
  };
  // Opening a device node or a FIFO for writing can already do something.
  if (!(await lstat(path)).isFile()) refuse('is no regular file', elsewhere);
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    return refuse('cannot be opened for reading and writing', elsewhere, cause);
  }
  try {
    const status = await file.stat();
    if (!status.isFile()) refuse('is no regular file', elsewhere);
    const unsafe = unsafeState(status);
    if (unsafe !== null) refuse(unsafe, elsewhere);
    if (status.nlink > 1) refuse('has a second name (hard link), that would be changed with it', elsewhere);
    const [wanted, found] = [await flashSize(source), await flashSize(file)];
    if (found === null) refuse('is a qcow2 image that refers to other files', elsewhere);
    const qcow2 = await isQcow2(source);
    if ((await isQcow2(file)) !== qcow2) {
      refuse(
        `is no ${qcow2 ? 'qcow2' : 'raw'} image, as the template ${printable(template)} is: it was made with another firmware`,
        otherFirmware,
      );
    }
    if (wanted !== found) {
      refuse(
        `is for a flash of ${found} bytes, but the template ${printable(template)} for one of ${wanted} bytes: it was made with another firmware`,
        otherFirmware,
      );
    }
    const [layout, expected] = [await layoutOf(file), await layoutOf(source)];
    if (expected !== null && (layout === null || !sameLayout(layout, expected))) {
      refuse(
        layout === null
          ? 'holds no UEFI variables'
          : `has another layout than the template ${printable(template)}: it was made with another firmware`,
        otherFirmware,
      );
    }
  } finally {
    await file.close();
  }
}

/**
 * Bytes of flash that a raw or qcow2 file stands for; null for a qcow2 that names another file. The qcow2 header is
 * big-endian: magic, version (32 bits), offset of the backing file name (64), its length (32), cluster bits (32), size
 * (64), and from 72 on, in version 3, the incompatible features, of which bit 2 says that the data lies elsewhere.
 */
async function flashSize(file: FileHandle): Promise<number | null> {
  const header = await headerOf(file);
  if (!startsAsQcow2(header)) return (await file.stat()).size;
  const external = header.readUInt32BE(4) > 2 && (header.readUInt32BE(76) & 4) !== 0;
  return header.readBigUInt64BE(8) !== 0n || external ? null : Number(header.readBigUInt64BE(24));
}

/** QEMU is told the format of the firmware's descriptor, and reads what it is given as that. */
async function isQcow2(file: FileHandle): Promise<boolean> {
  return startsAsQcow2(await headerOf(file));
}

async function headerOf(file: FileHandle): Promise<Buffer> {
  const header = Buffer.alloc(80);
  await file.read(header, 0, header.length, 0);
  return header;
}

function startsAsQcow2(header: Buffer): boolean {
  return header.readUInt32BE(0) === 0x514649fb;
}

/** Of raw files only; null where the file does not say it. */
async function layoutOf(file: FileHandle): Promise<VariableStore | null> {
  const start = Buffer.alloc(variableStoreBytes);
  const { bytesRead } = await file.read(start, 0, start.length, 0);
  return parseVariableStore(start.subarray(0, bytesRead));
}

/** The firmware that a state was made for; null where nobody wrote that down. */
export async function firmwareOf(path: string): Promise<string | null> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      return getAttribute(file.fd, firmwareAttribute);
    } finally {
      await file.close();
    }
  } catch {
    // It is a help, not a condition.
    return null;
  }
}

function unsafePlaceOf({ path, holders = [] }: NvramState): string | null {
  try {
    return unsafePlace(path, holders);
  } catch (cause) {
    throw new FileError(`The NVRAM state ${printable(path)} cannot be made`, { cause, hint: notThere });
  }
}

function rememberFirmware(file: FileHandle, firmware: string): void {
  try {
    setAttribute(file.fd, firmwareAttribute, firmware);
  } catch {
    // A file system without extended attributes: the layout alone is compared then.
  }
}

/** `exists`: somebody else made it in the meantime. */
async function create(path: string, source: FileHandle, firmware: string): Promise<'created' | 'exists'> {
  const directory = dirname(path);
  const temporary = join(directory, `.#vmspawn-nvram-${randomBytes(8).toString('hex')}`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    const target = await open(temporary, flags, 0o600);
    try {
      try {
        await target.chmod(0o600);
        await copy(source, target);
        const { atime, mtime } = await source.stat();
        rememberFirmware(target, firmware);
        await target.utimes(atime, mtime);
        await target.sync();
      } finally {
        await target.close();
      }
      if (!(await giveName(temporary, path))) return 'exists';
    } finally {
      await unlink(temporary).catch(ignoreMissing);
    }
    await syncDirectory(directory);
    return 'created';
  } catch (cause) {
    const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(cause) ?? '');
    throw new FileError(
      full
        ? `The NVRAM state ${printable(path)} cannot be made, because there is no space left in ${printable(directory)}`
        : `The NVRAM state ${printable(path)} cannot be made`,
      {
        cause,
        hint: full ? 'Make room, or say --efi-nvram-state=off.' : notThere,
      },
    );
  }
}

async function copy(source: FileHandle, target: FileHandle): Promise<void> {
  const buffer = Buffer.allocUnsafe(copyChunk);
  for (let position = 0; ; ) {
    const { bytesRead } = await source.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return;
    for (let done = 0; done < bytesRead; ) {
      const { bytesWritten } = await target.write(buffer, done, bytesRead - done, position + done);
      done += bytesWritten;
    }
    position += bytesRead;
  }
}

/** link(2) never replaces what is there. Without hard links (vfat, some FUSE) there is only rename(2). */
async function giveName(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return false;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS' && code !== 'EMLINK') throw error;
  }
  if (await exists(path)) return false;
  await rename(temporary, path);
  return true;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    // Some file systems cannot sync a directory.
    if (codeOf(error) !== 'EINVAL') throw error;
  } finally {
    await directory.close();
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}
