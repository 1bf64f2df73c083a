import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';

/**
 * Makes the guest's memory one that other processes can be handed: daemons that serve a vhost-user device read and
 * write it. However often it is called, it is done once.
 */
export function shareMemory({ ram }: Pick<Settings, 'ram'>, draft: Draft): void {
  if (draft.machineProperties['memory-backend'] !== undefined) return;
  draft.objects.push({ 'qom-type': 'memory-backend-memfd', id: 'memory0', size: ram.size, share: true });
  draft.machineProperties['memory-backend'] = 'memory0';
}
