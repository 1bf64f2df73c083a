import { accessSync, constants, statfsSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { printable } from '../errors.ts';
import { codeOf } from '../sys/error-code.ts';
import type { Usable } from './facts.ts';
import { type Owner, unsafeDirectory } from './state-place.ts';

/** For what is large and not kept, and no place is better (file-hierarchy(7)). */
const temporary = '/var/tmp';

/** File systems whose files lie in memory (statfs(2)): tmpfs and ramfs. */
const memory = [0x01021994, 0x858458f6];

/** Whether what is written there takes memory. Throws what statfs does. */
export function liesInMemory(directory: string): boolean {
  return memory.includes(statfsSync(directory).type);
}

/**
 * Where a throw-away copy of a directory (absolute path, without links) can lie: beside it, else in /var/tmp; never in
 * itself, in memory, or where others than `holders` (state-place.ts) may put something else into its place.
 */
export function throwAwayPlace(
  path: string,
  holders: readonly Owner[],
): Usable<{ readonly directory: string }> {
  const reasons: string[] = [];
  for (const directory of [dirname(path), temporary]) {
    const obstacle = obstacleOf(directory, path, holders);
    if (obstacle === null) return { usable: true, directory };
    reasons.push(`${printable(directory)} ${obstacle}`);
  }
  return { usable: false, reason: reasons.join('; ') };
}

function obstacleOf(directory: string, path: string, holders: readonly Owner[]): string | null {
  if (`${directory}${sep}`.startsWith(path === sep ? sep : `${path}${sep}`)) return 'lies in itself';
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    if (liesInMemory(directory)) return 'lies in memory';
    const unsafe = unsafeDirectory(directory, holders);
    return unsafe === null ? null : `is not safe: ${printable(unsafe.path)} is a place that ${unsafe.reason}`;
  } catch (error) {
    const code = codeOf(error);
    return code === 'EROFS' || code === 'EACCES' ? 'cannot be written to' : `cannot be used (${code})`;
  }
}
