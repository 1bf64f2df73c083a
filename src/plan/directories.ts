import { join } from 'node:path';
import { HostError, printable, UsageError } from '../errors.ts';
import type { HostFacts, IdRange, QemuFacts, SharingFacts, VirtiofsdFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import { shareMemory } from './memory.ts';
import type { PciLayout } from './pci.ts';
import type { PlannedAuxiliary, PlannedShare, PlannedTreeCopy } from './plan.ts';
import { entersFor, type Share, virtiofsdCommand } from './virtiofsd.ts';

/** The tag of the root file system, which the kernel's `root=` names. */
export const rootTag = 'root';

/** User numbers of a whole system, as systemd has it for containers. */
const idCount = 65_536;

/** Milliseconds for a guest without its root file system: it can start nothing any more, only what runs can still end. */
const rootlessTimeout = 10_000;

type Bind = Settings['binds'][number];
type Auxiliary = Omit<PlannedAuxiliary, 'units'>;

/**
 * The directories of --directory=, --bind= and --bind-ro=: for each a virtiofsd that listens, a vhost-user-fs device and,
 * but for the root file system, a mount in the guest; of the tree the `copy` if there is one. Throws HostError for what the
 * host lacks, UsageError for two directories in one place.
 */
export function planDirectories(
  settings: Settings,
  facts: HostFacts,
  qemu: QemuFacts,
  runtimeDirectory: string,
  copy: PlannedTreeCopy | null,
  draft: Draft,
  pci: PciLayout,
): Auxiliary[] {
  const { tree, binds } = facts;
  const first = tree === null ? settings.binds[0] : null;
  if (tree === null && first === undefined) return [];
  const option = first ? bindOption(first) : `--directory=${tree?.path}`;
  const { sharing, daemon } = requireSharing(facts, qemu, option);
  shareMemory(settings, draft);
  const add = (
    tag: string,
    name: string,
    share: Share,
    { directory, place }: Pick<PlannedShare, 'directory' | 'place'>,
  ): Auxiliary => {
    const device = `${tag}-device0`;
    const socket = join(runtimeDirectory, `${tag}.sock`);
    draft.chardevs.push({ id: tag, backend: 'socket', path: socket, server: false });
    const slot = pci.behindPort();
    draft.devices.push(slot.port, {
      driver: 'vhost-user-fs-pci',
      id: device,
      ...slot.place,
      chardev: tag,
      tag,
      'queue-size': 1024,
    });
    return {
      name,
      description: `directory ${printable(directory)}`,
      ...virtiofsdCommand(sharing, daemon, share),
      workingDirectory: '/',
      socket: { kind: 'listening', path: socket },
      required: true,
      share: { device, directory, place },
    };
  };
  const auxiliaries: Auxiliary[] = [];
  if (tree !== null) {
    const ids = treeIds(settings, tree.uid);
    const share: Share = {
      path: copy?.path ?? tree.path,
      readOnly: false,
      ids,
      option: `--directory=${tree.path}`,
    };
    auxiliaries.push({
      ...add(rootTag, 'virtiofsd-root', share, { directory: tree.path, place: null }),
      shutdownTimeout: Math.min(rootlessTimeout, settings.shutdownTimeout ?? Number.POSITIVE_INFINITY),
    });
  }
  for (const [index, bind] of settings.binds.entries()) {
    checkTarget(bind, settings.binds.slice(0, index));
    const found = binds[index];
    if (found?.closed && !entersFor(found.uid, sharing, daemon)) {
      throw new HostError(`${bindOption(bind)} may not be entered by this user`, {
        hint: 'Change its permissions or those of the directories above it.',
      });
    }
    const path = found?.path ?? bind.source;
    const tag = `mnt${index}`;
    const { readOnly, target } = bind;
    const share: Share = { path, readOnly, ids: null, option: bindOption(bind) };
    auxiliaries.push(add(tag, `virtiofsd-${index}`, share, { directory: path, place: target }));
    draft.guestMounts.push({
      what: tag,
      where: target,
      type: 'virtiofs',
      options: [readOnly ? 'ro' : 'rw', 'x-initrd.mount'],
    });
  }
  return auxiliaries;
}

/** In one place the guest can mount one directory only; its systemd takes the first line of fstab(5) for it. */
function checkTarget(bind: Bind, before: readonly Bind[]): void {
  const same = before.find(({ target }) => target === bind.target);
  if (same === undefined) return;
  throw new UsageError(
    `${bindOption(bind)}:${bind.target} has the same place in the guest as ${bindOption(same)}`,
    { hint: 'Give each directory a place of its own after the colon.' },
  );
}

/** Files that the owner of the tree has are root's in the guest, those of the next number the next user's, and so on. */
function treeIds({ privateUsers }: Settings, owner: number): IdRange {
  return privateUsers ?? { base: owner, count: idCount };
}

function bindOption({ source, readOnly }: Bind): string {
  return `${readOnly ? '--bind-ro' : '--bind'}=${source}`;
}

function requireSharing(
  { sharing, architecture }: HostFacts,
  qemu: QemuFacts,
  option: string,
): { sharing: SharingFacts; daemon: VirtiofsdFacts } {
  if (!qemu.devices.includes('vhost-user-fs-pci')) {
    throw new HostError(
      `${option} cannot be met: ${qemu.binary} (${architecture}) has no vhost-user-fs-pci device`,
    );
  }
  if (sharing === null) throw new HostError(`${option} cannot be met: virtiofsd was not looked for`);
  if (!sharing.virtiofsd.usable) {
    throw new HostError(`${option} cannot be met: ${sharing.virtiofsd.reason}`, {
      hint: 'Install virtiofsd: in Debian 12 `apt install qemu-system-common`, in newer ones `apt install virtiofsd`.',
    });
  }
  return { sharing, daemon: sharing.virtiofsd };
}
