import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

const [groupWrites, othersWrite, sticky] = [0o020, 0o002, 0o1000];

/**
 * Why kept state (absolute path, there or not) is not safe where it is, as a sentence part, or null: in a directory where
 * everybody may put something else into its place. The sticky bit, as /tmp has it, prevents that. Throws what stat does.
 */
export function unsafePlace(path: string): string | null {
  const directory = dirname(path);
  const { mode } = statSync(directory);
  if ((mode & othersWrite) === 0 || (mode & sticky) !== 0) return null;
  return `lies in ${directory}, which everybody may write to`;
}

/** Why the file or directory that holds kept state (from lstat) cannot be believed, as a sentence part, or null. */
export function unsafeState({ uid, mode }: Pick<Stats, 'uid' | 'mode'>): string | null {
  const user = process.geteuid?.() ?? 0;
  if (uid !== user && uid !== 0) return `belongs to the user ${uid}, neither to us (${user}) nor to root`;
  return (mode & (groupWrites | othersWrite)) === 0 ? null : 'can be written to by other users (chmod go-w)';
}
