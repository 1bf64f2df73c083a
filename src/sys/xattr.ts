import { check, koffi, libc } from './koffi.ts';

const fsetxattr = libc<[number, string, Buffer, number, number], number>(
  'int fsetxattr(int, const char *, const void *, size_t, int)',
);
const fgetxattr = libc<[number, string, Buffer, number], number>(
  'long fgetxattr(int, const char *, void *, size_t)',
);

const valueLimit = 4096;
const [ENODATA, ENOTSUP] = [61, 95];

/** Sets an extended attribute (xattr(7)) of an open file to a text. Throws SystemCallError (ENOTSUP, ENOSPC). */
export function setAttribute(fd: number, name: string, value: string): void {
  const bytes = Buffer.from(value);
  check('fsetxattr', fsetxattr(fd, name, bytes, bytes.length, 0));
}

/** The text of an extended attribute; null without it, or where the file system has none. Throws SystemCallError. */
export function getAttribute(fd: number, name: string): string | null {
  const bytes = Buffer.alloc(valueLimit);
  const length = fgetxattr(fd, name, bytes, bytes.length);
  if (length === -1 && [ENODATA, ENOTSUP].includes(koffi().errno())) return null;
  return bytes.toString('utf8', 0, check('fgetxattr', length));
}
