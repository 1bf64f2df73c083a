import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { FileError } from '../errors.ts';
import { codeOf } from '../sys/error-code.ts';

/**
 * Makes `path` a directory of ours with mode 0700, and its parents where they are missing. Throws FileError for one that
 * exists but is a link, belongs to somebody else or can be written by others: in /tmp anybody may have put it there.
 */
export function ensurePrivateDirectory(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    mkdirSync(path, { mode: 0o700 });
    return;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') {
      throw new FileError(`Directory ${path} cannot be made`, { cause: error });
    }
  }
  const found = lstatSync(path);
  const uid = process.getuid?.() ?? 0;
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o022) !== 0) {
    throw new FileError(`${path} is not a directory that only we can write`, {
      hint: 'Remove it, or set XDG_RUNTIME_DIR to a directory of your own.',
    });
  }
}

/**
 * The machine's runtime directory, empty. The caller holds the machine's name, so that whatever lies there is left from
 * a run that was killed. It is removed when disposed of.
 */
export function makeRuntimeDirectory(path: string): AsyncDisposable {
  ensurePrivateDirectory(dirname(path));
  try {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw new FileError(`Runtime directory ${path} cannot be made`, { cause: error });
  }
  return { [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true, force: true }) };
}
