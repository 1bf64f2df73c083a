import { fstatSync, writeSync } from 'node:fs';
import { codeOf } from './error-code.ts';
import { check, libc } from './koffi.ts';

const poll = libc<[Buffer, number, number], number>('int poll(void *, unsigned long, int)');
const isatty = libc<[number], number>('int isatty(int)');
const ioctl = libc<[number, number, Buffer], number>('int ioctl(int, unsigned long, void *)');

const POLLOUT = 4;
const TIOCGWINSZ = 0x5413;

/**
 * Writes to standard output, to the end. False when nobody reads any more (EPIPE), the terminal is gone (EIO) or
 * there is no standard output at all (EBADF): a reason to stop printing, no failure. Other errors (ENOSPC) are thrown.
 *
 * The streams of process.stdout and process.stderr set O_NONBLOCK on the open file, which we share with the
 * user's shell and its other programs; so they are never touched.
 */
export function writeOut(text: string | Uint8Array): boolean {
  return writeFully(1, text);
}

/** The same for standard error, except that no error is thrown: there is nowhere left to report it. */
export function writeErr(text: string | Uint8Array): boolean {
  try {
    return writeFully(2, text);
  } catch {
    return false;
  }
}

function writeFully(fd: number, text: string | Uint8Array): boolean {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EPIPE' || code === 'EIO' || code === 'EBADF') return false;
      // Another program that shares the open file may have made it non-blocking.
      if (code === 'EAGAIN') waitWritable(fd);
      else if (code !== 'EINTR') throw error;
    }
  }
  return true;
}

function waitWritable(fd: number): void {
  const request = Buffer.alloc(8);
  request.writeInt32LE(fd, 0);
  request.writeInt16LE(POLLOUT, 4);
  poll(request, 1, -1);
}

/** Whether the descriptor is a terminal (isatty(3)). */
export function isTerminal(fd: number): boolean {
  return isatty(fd) === 1;
}

/** Rows and columns of a terminal; null for what is no terminal, and for one that does not know its size. */
export function terminalSize(fd: number): { readonly rows: number; readonly columns: number } | null {
  const size = Buffer.alloc(8);
  if (ioctl(fd, TIOCGWINSZ, size) !== 0) return null;
  const [rows, columns] = [size.readUInt16LE(0), size.readUInt16LE(2)];
  return rows === 0 || columns === 0 ? null : { rows, columns };
}

/** Tells a terminal its size (TIOCSWINSZ); its foreground process group gets SIGWINCH. Throws SystemCallError. */
export function setTerminalSize(fd: number, size: { rows: number; columns: number }): void {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(size.rows, 0);
  bytes.writeUInt16LE(size.columns, 2);
  check('ioctl(TIOCSWINSZ)', ioctl(fd, TIOCGWINSZ + 1, bytes));
}

/** Whether standard input, output or error is a terminal that has hung up (isatty(3) fails then). */
export function hungUp(): boolean {
  return [0, 1, 2].some((fd) => {
    try {
      const { rdev } = fstatSync(fd);
      // Major numbers of terminals (Documentation/admin-guide/devices.txt): 4 and 5, and 136 to 143 for pseudo terminals.
      const major = (rdev >> 8) & 0xfff;
      return (major === 4 || major === 5 || (major >= 136 && major <= 143)) && isatty(fd) !== 1;
    } catch {
      return false;
    }
  });
}
