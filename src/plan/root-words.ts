import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import { rootTag } from './directories.ts';

/** Words of a boot loader entry that say what its root file system was when it was made. */
const rootWord = /^(?:root|rootfstype|rootflags|mount\.usr|mount\.usrfstype|mount\.usrflags)=|^(?:ro|rw)$/;

/**
 * The words by which a kernel that is booted directly finds its root file system: the shared tree, with what its boot
 * loader entry says beside that. None where the user says `root=`.
 */
export function rootWords({ kernelCommandLine }: Settings, { tree }: HostFacts): readonly string[] {
  const said = kernelCommandLine.some((word) => /^(?:root|mount\.usr)=/.test(word));
  if (tree === null) return [];
  const options = (tree.boot?.options ?? []).filter((word) => !rootWord.test(word));
  return said ? options : [...options, 'rootfstype=virtiofs', `root=${rootTag}`, 'rw'];
}
