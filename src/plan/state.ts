import type { HostFacts } from '../host/facts.ts';
import type { Owner } from '../host/state-place.ts';
import type { StatePath } from '../settings/settings.ts';
import type { Draft } from './draft.ts';

/**
 * Where a machine's persistent state lives: at the path that was given, beside the image or the tree with `suffix` added to its
 * name, or nowhere (null), as for all automatic state of an ephemeral machine. A block device has no place beside it that survives a reboot.
 */
export function besideImage(
  { setting, ephemeral }: { readonly setting: StatePath; readonly ephemeral: boolean },
  suffix: string,
  option: string,
  facts: HostFacts,
  draft: Draft,
): string | null {
  if (typeof setting === 'object') return setting.path;
  if (setting === 'off' || ephemeral) return null;
  // Beside the root directory there is no place.
  if (facts.tree !== null && facts.tree.path !== '/') return `${facts.tree.path}${suffix}`;
  if (facts.image === null) return null;
  const [top] = facts.image.layers;
  if (top.type === 'block') {
    draft.notice(
      `${top.path} is a block device, so that nothing is kept beside it; --${option}=PATH keeps it.`,
    );
    return null;
  }
  return `${top.path}${suffix}`;
}

/** Who besides root may have the machine's state in their directories; nothing where nobody may, as mostly. */
export function stateHolders({ holders }: Pick<HostFacts, 'holders'>): {
  readonly holders?: readonly Owner[];
} {
  return holders.length === 0 ? {} : { holders };
}
