import { UsageError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import { vhostNetDevice } from '../host/network.ts';
import type { Netdev } from '../qemu/configuration.ts';
import type { ForwardedPort, Settings } from '../settings/settings.ts';
import { sha256 } from './digest.ts';
import type { Draft } from './draft.ts';
import { macAddress } from './identity.ts';
import type { PciLayout } from './pci.ts';

/** IFNAMSIZ of the kernel without the NUL at the end. */
const interfaceNameLimit = 15;
const hashDigits = 4;

/** The network interfaces that were asked for, in their order; none at all otherwise. Throws UsageError. */
export function planNetwork(
  settings: Settings,
  facts: HostFacts,
  machine: string,
  draft: Draft,
  pci: PciLayout,
): void {
  checkPorts(settings);
  // As in systemd-vmspawn, the TAP interface's; without one, that of the only network card there is.
  const named = Math.max(settings.network.indexOf('tap'), 0);
  const mac = (index: number) => (index === named ? facts.network.mac : null) ?? macAddress(facts, index);
  for (const [index, kind] of settings.network.entries()) {
    const id = `net${index}`;
    draft.netdevs.push(
      kind === 'user' ? userNetwork(id, settings.ports) : tapNetwork(id, machine, facts, draft),
    );
    const { port, place } = pci.behindPort();
    draft.devices.push(port, {
      driver: 'virtio-net-pci',
      id: `nic${index}`,
      ...place,
      netdev: id,
      mac: mac(index),
      // No option ROM: it would only make the firmware try a network boot, and its file is in a package of its own.
      romfile: '',
    });
  }
}

function userNetwork(id: string, ports: readonly ForwardedPort[]): Netdev {
  const hostfwd = ports.map(({ protocol, address, host, guest }) => ({
    str: `${protocol}:${address}:${host}-:${guest}`,
  }));
  return { type: 'user', id, ...(hostfwd.length > 0 ? { hostfwd } : {}) };
}

/** The interface is opened by us, so that QEMU needs neither privileges nor a program to set it up. */
function tapNetwork(id: string, machine: string, facts: HostFacts, draft: Draft): Netdev {
  const fd = draft.descriptor({ kind: 'tap', interface: tapName(machine) });
  const tap = { type: 'tap', id, fd: String(fd) };
  if (!facts.network.vhost) return tap;
  const vhost = draft.descriptor({
    kind: 'file',
    path: vhostNetDevice,
    access: 'read-write',
    identity: null,
  });
  return { ...tap, vhost: true, vhostfd: String(vhost) };
}

/**
 * `vt-` and the machine's name, by which systemd-networkd knows the interface (80-vm-vt.network). What is too long for
 * an interface is cut, with digits of a hash at the end, so that two long names stay different.
 */
export function tapName(machine: string): string {
  const name = `vt-${machine}`;
  if (name.length <= interfaceNameLimit) return name;
  return name.slice(0, interfaceNameLimit - hashDigits) + sha256(machine).slice(0, hashDigits);
}

function checkPorts({ ports, network }: Settings): void {
  const [first] = ports;
  if (first === undefined) return;
  if (!network.includes('user')) {
    throw new UsageError(`--port=${portInWords(first)} needs a network in user mode`, {
      hint: 'Add --network-user-mode.',
    });
  }
  const seen = new Set<string>();
  for (const port of ports) {
    const key = `${port.protocol} ${port.address} ${port.host}`;
    if (seen.has(key)) {
      throw new UsageError(`--port=${portInWords(port)} forwards a port of the host for the second time`, {
        hint: 'Choose another port of the host.',
      });
    }
    seen.add(key);
  }
}

/** As --port= is given, with all its parts. */
export function portInWords({ protocol, address, host, guest }: ForwardedPort): string {
  return `${address}:${host}:${guest}${protocol === 'udp' ? '/udp' : ''}`;
}
