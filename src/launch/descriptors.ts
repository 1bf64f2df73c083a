import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { FileError, HostError, ImageError, printable } from '../errors.ts';
import type { PlannedDescriptor } from '../plan/plan.ts';
import { enlargePipe, pipe } from '../sys/descriptors.ts';
import { SystemCallError } from '../sys/koffi.ts';
import { createMemfd, sealMemfd } from '../sys/memfd.ts';
import { openBeneath } from '../sys/open-beneath.ts';
import { socketpair } from '../sys/socketpair.ts';
import { claimGuestCid } from '../sys/vsock.ts';
import { openOverlay } from './overlay.ts';
import type { Taps } from './taps.ts';

/** Initrds that are put together must each start at a multiple of 4 bytes (the kernel's initramfs buffer format). */
const initrdAlignment = 4;

/** Bytes of the largest flash that QEMU has, that of the machine type virt. */
const flashLimit = 64 * 1024 ** 2;

/** Bytes that may wait in the guest's console, the most that an ordinary user's pipe can hold: a second of a flood. */
const consoleBuffer = 1024 * 1024;

type Purpose = (PlannedDescriptor & { kind: 'socketpair' | 'pipe' })['purpose'];

/** What was opened for QEMU, and our ends of the socket pairs and pipes. */
export interface OpenedDescriptors extends AsyncDisposable {
  /** Numbers in QEMU, with ours. */
  readonly passed: readonly { readonly target: number; readonly fd: number }[];
  /** Our end of a socket pair or pipe; whoever takes it owns it. Null where the plan has none for this purpose. */
  take(purpose: Purpose): number | null;
  /** Closes what QEMU has by now. */
  closePassed(): void;
}

/**
 * Opens everything that the plan hands to QEMU. All of it is opened before QEMU starts, by us, so that nothing can be
 * exchanged in between: a file whose device and inode are not those that were inspected is refused. `contents` are those
 * of the anonymous files, by their numbers (credentials.ts); `taps` are open by then. Throws ImageError or FileError naming the file.
 */
export function openDescriptors(
  planned: readonly PlannedDescriptor[],
  contents: ReadonlyMap<number, Uint8Array>,
  taps: Pick<Taps, 'take'>,
): OpenedDescriptors {
  const passed: { target: number; fd: number }[] = [];
  const ours = new Map<Purpose, number>();
  const owned = new Set<number>();
  const keep = (fd: number): number => {
    owned.add(fd);
    return fd;
  };
  const closeAll = (fds: Iterable<number>): void => {
    for (const fd of fds) {
      if (owned.delete(fd)) closeSync(fd);
    }
  };
  try {
    for (const descriptor of planned) {
      switch (descriptor.kind) {
        case 'file':
          passed.push({ target: descriptor.target, fd: keep(openFile(descriptor)) });
          break;
        case 'copy':
          passed.push({ target: descriptor.target, fd: keep(copyOf(descriptor.path)) });
          break;
        case 'overlay':
          passed.push({ target: descriptor.target, fd: keep(openOverlay(descriptor)) });
          break;
        case 'tap':
          passed.push({ target: descriptor.target, fd: keep(taps.take(descriptor.target)) });
          break;
        case 'vsock':
          passed.push({ target: descriptor.target, fd: keep(openVsock(descriptor)) });
          break;
        case 'concatenation':
          passed.push({ target: descriptor.target, fd: keep(concatenation(descriptor)) });
          break;
        case 'memory':
          passed.push({ target: descriptor.target, fd: keep(memory(descriptor, contents)) });
          break;
        case 'socketpair': {
          const [mine, theirs] = socketpair();
          ours.set(descriptor.purpose, keep(mine));
          passed.push({ target: descriptor.target, fd: keep(theirs) });
          break;
        }
        case 'pipe': {
          const [reading, writing] = pipe();
          const output = descriptor.purpose === 'console-output';
          // QEMU throws away what does not fit.
          if (output) enlargePipe(writing, consoleBuffer);
          ours.set(descriptor.purpose, keep(output ? reading : writing));
          passed.push({ target: descriptor.target, fd: keep(output ? writing : reading) });
          break;
        }
        case 'inherit':
          passed.push({ target: descriptor.target, fd: descriptor.source });
          break;
      }
    }
  } catch (error) {
    closeAll([...owned]);
    throw error;
  }
  return {
    passed,
    take(purpose) {
      const fd = ours.get(purpose) ?? null;
      if (fd !== null) {
        ours.delete(purpose);
        owned.delete(fd);
      }
      return fd;
    },
    closePassed: () => closeAll(passed.map(({ fd }) => fd)),
    [Symbol.asyncDispose]: async () => closeAll([...owned]),
  };
}

function openFile({ path, access, identity, beneath }: PlannedDescriptor & { kind: 'file' }): number {
  if (beneath !== undefined) return openInTree(beneath, path);
  let fd: number;
  try {
    // O_NONBLOCK: a FIFO in the file's place must not stop us; it means nothing for files and block devices. What is
    // written to and not told by its inode (state that has just been made) must not be a link that came later.
    const writing = constants.O_RDWR | (identity === null ? constants.O_NOFOLLOW : 0);
    fd = openSync(path, (access === 'read' ? constants.O_RDONLY : writing) | constants.O_NONBLOCK);
  } catch (error) {
    throw new FileError(`${path} cannot be opened`, { cause: error });
  }
  if (identity !== null) {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    if (`${dev}:${ino}` !== identity) {
      closeSync(fd);
      throw new ImageError(`${path} was replaced by another file while the machine was being started`, {
        hint: 'Start it again.',
      });
    }
  }
  return fd;
}

/** What a tree boots is a file in it when it is opened, too. */
function openInTree(tree: string, path: string): number {
  try {
    return openBeneath(tree, path);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'ELOOP') {
      throw new ImageError(`${printable(path)} was replaced by a link while the machine was being started`, {
        hint: 'Start it again.',
      });
    }
    throw new FileError(`${printable(path)} cannot be opened`, { cause: error });
  }
}

function openVsock({ path, cid }: PlannedDescriptor & { kind: 'vsock' }): number {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDWR);
    if (claimGuestCid(fd, cid)) return fd;
  } catch (error) {
    if (fd !== null) closeSync(fd);
    throw new FileError(`${path} cannot be opened`, { cause: error });
  }
  closeSync(fd);
  throw new HostError(`Another machine has taken the CID ${cid} while this one was being started`, {
    hint: 'Start it again, or give it another one with --vsock-cid=.',
  });
}

function copyOf(path: string): number {
  try {
    return createMemfd('vmspawn:copy', readFlash(path));
  } catch (error) {
    throw new FileError(`The NVRAM template ${path} cannot be read`, {
      cause: error,
      hint: 'Name another file with --efi-nvram-template=.',
    });
  }
}

/** The user may have named anything: a FIFO must not stop us, and a device has no end. */
function readFlash(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new Error('It is no regular file');
    if (status.size > flashLimit) throw new Error(`It has ${status.size} bytes, more than any flash`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function concatenation({ paths, beneath }: PlannedDescriptor & { kind: 'concatenation' }): number {
  const parts: Buffer[] = [];
  for (const path of paths) {
    const opened = beneath === undefined ? null : openInTree(beneath, path);
    try {
      const content = readFileSync(opened ?? path);
      parts.push(
        content,
        Buffer.alloc((initrdAlignment - (content.length % initrdAlignment)) % initrdAlignment),
      );
    } catch (error) {
      throw new FileError(`Initrd ${path} cannot be read`, { cause: error });
    } finally {
      if (opened !== null) closeSync(opened);
    }
  }
  const fd = createMemfd('vmspawn:initrd', Buffer.concat(parts));
  sealMemfd(fd);
  return fd;
}

function memory(
  { target, what }: PlannedDescriptor & { kind: 'memory' },
  contents: ReadonlyMap<number, Uint8Array>,
): number {
  const content = contents.get(target);
  if (content === undefined) throw new Error(`${what} was not read`);
  const fd = createMemfd('vmspawn:credential', content);
  sealMemfd(fd);
  return fd;
}
