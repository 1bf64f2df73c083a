import { execFileSync } from 'node:child_process';
import { basename, join } from 'node:path';
export const smallGuest = (): string => process.env['VMSPAWN_GUEST_SMALL'] ?? '';
export const debianImage = (): string => process.env['VMSPAWN_GUEST_DEBIAN'] ?? '';
export const copyImage = (path: string, directory: string): string => {
  const copy = join(directory, basename(path));
  execFileSync('cp', ['--sparse=always', path, copy]);
  return copy;
};
