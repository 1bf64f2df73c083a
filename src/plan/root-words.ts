import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import { rootTag } from './directories.ts';

/** Words of a boot loader entry that say what its root file system was when it was made. */
const rootWord = /^(?:root|rootfstype|rootflags|mount\.usr|mount\.usrfstype|mount\.usrflags)=|^(?:ro|rw)$/;

/** Whether the user says where the root file system is. */
export function saysRoot({ kernelCommandLine }: Pick<Settings, 'kernelCommandLine'>): boolean {
  return kernelCommandLine.some((word) => /^(?:root|mount\.usr)=/.test(word));
}

/**
 * The words by which a kernel that is booted directly finds its root file system: the shared tree, with what its boot
 * loader entry says beside that, or the image's partition by its type. None of them where the user says `root=`.
 */
export function rootWords(
  settings: Settings,
  { tree, rootPartition, kernel }: Pick<HostFacts, 'tree' | 'rootPartition' | 'kernel'>,
): readonly string[] {
  const said = saysRoot(settings);
  if (tree !== null) {
    const options = (tree.boot?.options ?? []).filter((word) => !rootWord.test(word));
    return said ? options : [...options, 'rootfstype=virtiofs', `root=${rootTag}`, 'rw'];
  }
  // A unified kernel image knows its own.
  if (said || rootPartition === null || kernel === null || kernel.type === 'uki') return [];
  const { kind, uuid, readOnly } = rootPartition;
  const name = kind === 'root' ? 'root' : 'mount.usr';
  const fixed = readOnly || settings.imageDiskType === 'scsi-cd';
  return [`${name}=PARTUUID=${uuid}`, ...(kind === 'root' ? [fixed ? 'ro' : 'rw'] : [])];
}
