import { execFileSync } from 'node:child_process';

/**
 * A hash of all that is in a directory and that a write could change: names, contents, owners, modes, times, hard links,
 * device numbers, extended attributes; as a command for sh(1) that prints it for the directory "$1", and run here.
 */
export const treeDigestCommand =
  'tar --create --directory="$1" --sort=name --numeric-owner --format=posix --xattrs --xattrs-include="*" ' +
  '--pax-option="exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime" . | sha256sum';

export function treeDigest(directory: string): string {
  return execFileSync('sh', ['-euc', treeDigestCommand, 'sh', directory], { encoding: 'utf8' });
}
