import type { ForwardedPort } from '../settings/settings.ts';
import { type Place, refuse } from './values.ts';

/** Nobody else on the network reaches the guest unless an address says so. */
const defaultAddress = '127.0.0.1';
const form = 'Write [ADDRESS:]HOST:GUEST[/udp], for example 2222:22 or 0.0.0.0:8080:80.';

/** Not by node:net, which every start would have to load. */
function isIPv4(text: string): boolean {
  const parts = text.split('.');
  return (
    parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  );
}

/** `[ADDRESS:]HOST:GUEST[/tcp|/udp]`; the address is IPv4, as QEMU's user-mode network has no other. Throws UsageError. */
export function parsePort(value: string, place: Place): ForwardedPort {
  const match = /^(?:(.*):)?([0-9]+):([0-9]+)(?:\/(tcp|udp))?$/.exec(value);
  if (match === null) throw refuse(place, value, 'is no forwarded port', form);
  const [, address = defaultAddress, host = '', guest = '', protocol = 'tcp'] = match;
  if (!isIPv4(address))
    throw refuse(place, value, `has ${address} for an address, which is no IPv4 one`, form);
  return {
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    address,
    host: portNumber(host, value, place),
    guest: portNumber(guest, value, place),
  };
}

function portNumber(digits: string, value: string, place: Place): number {
  const port = digits.length <= 5 ? Number(digits) : 0;
  if (port < 1 || port > 65535)
    throw refuse(place, value, `has the port ${digits}, which is none from 1 to 65535`);
  return port;
}
