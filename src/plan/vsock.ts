import { HostError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import { vsockCid } from './identity.ts';
import type { PciLayout } from './pci.ts';

/** A vsock device where the host has one, its CID or null. Throws HostError for --vsock=yes without. */
export function planVsock(settings: Settings, facts: HostFacts, draft: Draft, pci: PciLayout): number | null {
  if (settings.vsock === false) return null;
  if (!facts.vsock.usable && settings.vsock === 'auto' && settings.vsockCid === null) return null;
  if (!facts.vsock.usable) {
    const option = settings.vsock === true ? '--vsock=yes' : `--vsock-cid=${settings.vsockCid}`;
    throw new HostError(`${option} cannot be met: ${facts.vsock.reason}`);
  }
  const { device, passed } = facts.vsock;
  const fd = draft.descriptor(
    passed === undefined
      ? { kind: 'file', path: device, access: 'read-write', identity: null }
      : { kind: 'inherit', source: passed },
  );
  const cid = settings.vsockCid ?? vsockCid(facts);
  draft.devices.push({
    driver: 'vhost-vsock-pci',
    id: 'vsock0',
    ...pci.integrated(),
    'guest-cid': cid,
    vhostfd: String(fd),
  });
  return cid;
}
