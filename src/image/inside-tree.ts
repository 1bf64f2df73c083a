import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Links on the way to one file, as the kernel has it (ELOOP). */
const linkLimit = 40;

/**
 * Where `path` leads in the tree, links followed as they would be with the tree as the root directory: an absolute link
 * starts at the tree, and `..` does not leave it. Returns the absolute path on the host, or null when there is nothing.
 */
export function resolveInTree(tree: string, path: string): string | null {
  let links = 0;
  const todo = path.split('/').reverse();
  const done: string[] = [];
  while (todo.length > 0) {
    const part = todo.pop() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const next = join(tree, ...done, part);
    try {
      if (!lstatSync(next).isSymbolicLink()) {
        done.push(part);
        continue;
      }
      const target = readlinkSync(next);
      if (++links > linkLimit) return null;
      if (target.startsWith('/')) done.length = 0;
      todo.push(...target.split('/').reverse());
    } catch {
      return null;
    }
  }
  return join(tree, ...done);
}

/** The names in a directory of the tree, sorted; none where it is no directory or cannot be read. */
export function namesInTree(tree: string, path: string): string[] {
  const directory = resolveInTree(tree, path);
  if (directory === null) return [];
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/** The text of a regular file in the tree, or null for anything else and for what is larger than `limit` bytes. */
export function textInTree(tree: string, path: string, limit = 64 * 1024): string | null {
  const file = fileInTree(tree, path);
  if (file === null) return null;
  try {
    if (lstatSync(file).size > limit) return null;
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** A regular file in the tree with something in it, as an absolute path on the host, or null. */
export function fileInTree(tree: string, path: string): string | null {
  const file = resolveInTree(tree, path);
  try {
    if (file === null) return null;
    const status = lstatSync(file);
    return status.isFile() && status.size > 0 ? file : null;
  } catch {
    return null;
  }
}
