import { lstatSync, readFileSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { printable } from '../errors.ts';

const [groupWrites, othersWrite, sticky] = [0o020, 0o002, 0o1000];

/** What the kernel shows for users that have no number in this user namespace (user_namespaces(7)). */
const overflowUser = 65534;

/** Who a file or directory belongs to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A directory that others than we decide about, with the reason: `/srv`, `everybody may write to`. */
export interface UnsafeDirectory {
  readonly path: string;
  readonly reason: string;
}

/**
 * Why kept state (absolute path, there or not) is not safe where it is, as a sentence part, or null: somebody else could
 * put something else into its place. `holders` hold the machine's image or tree (`holdersOf`): where we are root they decide
 * anyway what runs in the guest, and may have its state in their directories. Throws what lstat does.
 */
export function unsafePlace(path: string, holders: readonly Owner[]): string | null {
  const unsafe = unsafeDirectory(dirname(path), holders);
  return unsafe === null ? null : `lies in ${printable(unsafe.path)}, which ${unsafe.reason}`;
}

/**
 * The first directory or link on the way from / to a directory (absolute path) by which somebody else decides where that leads
 * or what lies in it, or null. Belonging to us or root is not enough: others must not write to it either, unless the
 * sticky bit keeps them from what is not theirs, as in /tmp. Our own group may, and to what belongs to us any group that we
 * are in. Throws what lstat does.
 */
export function unsafeDirectory(path: string, holders: readonly Owner[]): UnsafeDirectory | null {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  const theirs = uid === 0 ? holders : [];
  const users = [0, uid, ...theirs.map((holder) => holder.uid)];
  const groups = [0, gid, ...theirs.map((holder) => holder.gid)];
  // Throws for a loop of links.
  realpathSync.native(path);
  for (const passed of way(path)) {
    const { status } = passed;
    if (!users.includes(status.uid) && !isForeign(status.uid)) {
      const ours = uid === 0 ? 'not to root' : `neither to us (${uid}) nor to root`;
      return { path: passed.path, reason: `belongs to the user ${status.uid}, ${ours}` };
    }
    if (status.isSymbolicLink() || (status.mode & sticky) !== 0) continue;
    if ((status.mode & othersWrite) !== 0) return { path: passed.path, reason: 'everybody may write to' };
    if ((status.mode & groupWrites) !== 0 && !groups.includes(status.gid)) {
      if (status.uid === uid && ownGroups().includes(status.gid)) continue;
      return { path: passed.path, reason: `the group ${status.gid} may write to` };
    }
  }
  return null;
}

/** Those that we are in; the one of the user database is not among them where a service has Group=. */
function ownGroups(): readonly number[] {
  const groups = process.getgroups?.() ?? [];
  try {
    return [...groups, userInfo().gid];
  } catch {
    // A number without a name.
    return groups;
  }
}

/**
 * Who besides root decides what an image or tree (absolute path) is: its owner, and those of the directories above it, who
 * can put another one there. Nobody for what has no name any more.
 */
export function holdersOf(path: string): readonly Owner[] {
  const holders: Owner[] = [];
  try {
    for (let at = realpathSync.native(path); ; at = dirname(at)) {
      const { uid, gid } = statSync(at);
      if (uid !== 0) holders.push({ uid, gid });
      if (at === '/') return holders;
    }
  } catch {
    return [];
  }
}

/** Everything that the kernel passes on the way to `path`, which it can reach: directories and links. */
function* way(path: string): Generator<{ readonly path: string; readonly status: Stats }> {
  yield { path: '/', status: lstatSync('/') };
  const todo = path.split('/').reverse();
  let at = '/';
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '..') at = dirname(at);
    if (part === '' || part === '.' || part === '..') continue;
    const next = join(at, part);
    const status = lstatSync(next);
    yield { path: next, status };
    if (status.isSymbolicLink()) {
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = '/';
      todo.push(...target.split('/').reverse());
    } else at = next;
  }
}

/**
 * Somebody outside of our user namespace. Mostly that is the host's root, to whom belongs what a container without
 * privileges is put into, / too; who else it may be cannot be told.
 */
function isForeign(uid: number): boolean {
  if (uid !== overflowUser) return false;
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
}

/** Why the file or directory that holds kept state (from lstat) cannot be believed, as a sentence part, or null. */
export function unsafeState({ uid, mode }: Pick<Stats, 'uid' | 'mode'>): string | null {
  const user = process.geteuid?.() ?? 0;
  if (uid !== user && uid !== 0) return `belongs to the user ${uid}, neither to us (${user}) nor to root`;
  return (mode & (groupWrites | othersWrite)) === 0 ? null : 'can be written to by other users (chmod go-w)';
}
