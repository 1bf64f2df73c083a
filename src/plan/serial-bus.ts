import type { Device } from '../qemu/configuration.ts';
import type { PciLayout } from './pci.ts';

/** Its id among QEMU's devices. */
export const serialBusId = 'serial0';

/** Ports that the bus has room for: the console and what we put beside it, and some that a user may add with --qemu-arg=. */
const ports = 8;

/**
 * The bus of the virtio console and of the ports beside it. Linux writes to a console at least twice a line, waits for each
 * piece, and is interrupted for each one all the same, which is made as cheap as can be. Without ioeventfd: QEMU's main loop
 * takes longer to be woken than the processor's own thread to see to it (three times the throughput under TCG). Without
 * event index, and with an interrupt for each queue (two for a port, two for control, one for the configuration): one that
 * they share has Linux look at every queue, 64 of them with QEMU's default of 31 ports (a quarter more throughput).
 */
export function serialBus(pci: PciLayout): Device {
  return {
    driver: 'virtio-serial-pci',
    id: serialBusId,
    ...pci.integrated(),
    ioeventfd: false,
    event_idx: false,
    max_ports: ports,
    vectors: 2 * ports + 3,
  };
}
