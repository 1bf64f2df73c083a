import { join } from 'node:path';
import { HostError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PlannedTreeCopy } from './plan.ts';

/** What all containers begin with, by which those of killed machines are found. */
export const containerPrefix = '.#vmspawn-tree-';

/**
 * The copy that an ephemeral machine has of its tree; null where it has none. Throws HostError where there is no place
 * for it, or where this user cannot make one.
 */
export function planTreeCopy(
  { ephemeral }: Settings,
  facts: HostFacts,
  draft: Draft,
): PlannedTreeCopy | null {
  const { tree, sharing, runId } = facts;
  if (tree === null || !ephemeral) return null;
  const option = `--ephemeral with --directory=${tree.path}`;
  const place = tree.copyPlace;
  if (place === null) throw new Error('No place for the copy was looked for');
  if (!place.usable) {
    throw new HostError(`${option} has no place for the copy: ${place.reason}`, {
      hint: 'Make the directory that the tree lies in writable, or /var/tmp.',
    });
  }
  const user = sharing?.user ?? null;
  if (user !== null && tree.uid !== user.uid) {
    throw new HostError(`${option} needs a tree that belongs to this user; it belongs to user ${tree.uid}`, {
      hint: 'Start the machine as root.',
    });
  }
  // Files of the user's subordinate numbers can be read, made and removed in a user namespace only.
  const prefix: readonly [string, ...string[]] =
    user?.subordinate != null && user.namespaces && sharing?.unshare != null
      ? [sharing.unshare, '--user', '--map-root-user', '--map-auto', '--']
      : ['/usr/bin/env'];
  const container = join(place.directory, `${containerPrefix}${runId}`);
  const path = join(container, 'tree');
  draft.notice(
    `The machine runs from a copy of ${tree.path} in ${container}, which is removed when it ends.`,
  );
  return {
    source: tree.path,
    identity: tree.identity,
    container,
    path,
    subvolume: tree.subvolume,
    copy: [
      ...prefix,
      'cp',
      '--archive',
      // --archive alone says nothing about those that are lost, file capabilities among them.
      ...(user === null ? ['--preserve=xattr'] : []),
      '--reflink=auto',
      '--one-file-system',
      '--no-target-directory',
      '--',
      tree.path,
      path,
    ],
    // A snapshot is another file system for rm, so that --one-file-system would leave it.
    remove: [...prefix, 'rm', '--recursive', '--force', '--', container],
  };
}
