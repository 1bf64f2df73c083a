import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import { macAddress } from './identity.ts';
import type { PciLayout } from './pci.ts';

/** QEMU's user-mode network where asked for; no NIC at all otherwise. */
export function planNetwork(settings: Settings, facts: HostFacts, draft: Draft, pci: PciLayout): void {
  if (settings.network === 'none') return;
  draft.netdevs.push({ type: 'user', id: 'net0' });
  const { port, place } = pci.behindPort();
  draft.devices.push(port, {
    driver: 'virtio-net-pci',
    id: 'nic0',
    ...place,
    netdev: 'net0',
    mac: macAddress(facts, 0),
    // No option ROM: it would only make the firmware try a network boot, and its file is in a package of its own.
    romfile: '',
  });
}
