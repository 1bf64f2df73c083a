import { closeSync } from 'node:fs';
import { libc } from './koffi.ts';

const syscall = libc<[number, number, Buffer], number>('long syscall(long, unsigned int, void *)');

/** The number is the same on every architecture. */
const IO_URING_SETUP = 425;
/** As many entries as QEMU asks for. */
const entries = 128;
/** struct io_uring_params */
const parameterBytes = 120;

/**
 * Whether the kernel lets this process use io_uring (io_uring_setup(2)): it may lack it, sysctl kernel.io_uring_disabled
 * or a seccomp filter may forbid it, and before Linux 5.12 its memory counts against RLIMIT_MEMLOCK.
 */
export function ioUringWorks(): boolean {
  const fd = syscall(IO_URING_SETUP, entries, Buffer.alloc(parameterBytes));
  if (fd < 0) return false;
  closeSync(fd);
  return true;
}
