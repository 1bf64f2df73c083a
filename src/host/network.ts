import { closeSync, constants, openSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import type { HostFacts } from './facts.ts';
import type { Environment } from './identity.ts';

/** The kernel's own back end for virtio network cards: frames go between guest and TAP interface without QEMU. */
export const vhostNetDevice = '/dev/vhost-net';
const macVariable = 'SYSTEMD_VMSPAWN_NETWORK_MAC';

/** What there is for a network; `tap`: whether a TAP interface is wanted, the only one that vhost-net is for. */
export function probeNetwork(environment: Environment, tap: boolean): HostFacts['network'] {
  return { mac: parseMac(environment[macVariable] ?? ''), vhost: tap && opens(vhostNetDevice) };
}

function opens(device: string): boolean {
  try {
    closeSync(openSync(device, constants.O_RDWR));
    return true;
  } catch {
    return false;
  }
}

/** Six bytes in hexadecimal with colons or hyphens; '' is null. Throws UsageError for what no network card can have. */
export function parseMac(value: string): string | null {
  if (value === '') return null;
  const refuse = (reason: string) =>
    new UsageError(`$${macVariable}=${value} ${reason}`, { hint: 'Write for example 52:54:00:12:34:56.' });
  const mac = value.toLowerCase().replaceAll('-', ':');
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) throw refuse('is no MAC address');
  // The lowest bit of the first byte marks groups (IEEE 802).
  if (Number.parseInt(mac.slice(0, 2), 16) % 2 === 1) throw refuse('is the address of a group of machines');
  if (/^[0:]+$/.test(mac)) throw refuse('is no address of a machine');
  return mac;
}
