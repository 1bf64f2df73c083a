import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/** Where distributions keep programs that users do not start by hand. */
const PROGRAM_DIRECTORIES = ['/usr/libexec', '/usr/lib'];

/**
 * The first of `names` that is an executable regular file, as an absolute path, or null. Each name is looked for in the
 * directories of `path` ($PATH), then in `extra`, before the next name is. A name with a slash is a path itself.
 * Entries of $PATH that are empty or relative would mean the current directory and are left out.
 */
export function findProgram(
  names: readonly string[],
  { path, extra = PROGRAM_DIRECTORIES }: { path: string; extra?: readonly string[] },
): string | null {
  const directories = [...path.split(':').filter(isAbsolute), ...extra];
  for (const name of names) {
    const candidates = name.includes('/') ? [name] : directories.map((directory) => join(directory, name));
    const found = candidates.find(isProgram);
    if (found !== undefined) return found;
  }
  return null;
}

function isProgram(path: string): boolean {
  if (!isAbsolute(path)) return false;
  try {
    if (!statSync(path).isFile()) return false;
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
