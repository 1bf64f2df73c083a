import { closeSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { check, koffi, libc } from './koffi.ts';

const memfdCreate = libc<[string, number], number>('int memfd_create(const char *, unsigned int)');
const fcntl = libc<[number, number, number], number>('int fcntl(int, int, long)');

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL, _SHRINK, _GROW, _WRITE */
const ALL_SEALS = 0xf;

/**
 * An anonymous file (memfd_create(2)), close-on-exec, with `content` in it when given. `name` is only seen in
 * /proc/PID/fd. The caller closes it. Throws SystemCallError.
 */
export function createMemfd(name: string, content?: Uint8Array): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  // Kernels from 6.3 on want to be told that it holds no program, and may refuse otherwise (vm.memfd_noexec).
  let fd = memfdCreate(name, flags | MFD_NOEXEC_SEAL);
  if (fd === -1 && koffi().errno() === constants.errno.EINVAL) fd = memfdCreate(name, flags);
  check('memfd_create', fd);
  if (content === undefined) return fd;
  try {
    for (let written = 0; written < content.length; ) {
      written += writeSync(fd, content, written, content.length - written, written);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/** From now on nobody can change the content or the size (F_ADD_SEALS). Throws SystemCallError. */
export function sealMemfd(fd: number): void {
  check('fcntl(F_ADD_SEALS)', fcntl(fd, F_ADD_SEALS, ALL_SEALS));
}
