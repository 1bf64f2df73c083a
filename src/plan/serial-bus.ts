import type { Device } from '../qemu/configuration.ts';
import type { PciLayout } from './pci.ts';

/** Its id among QEMU's devices. */
export const serialBusId = 'serial0';

/**
 * The bus of the virtio console and of the ports beside it. Linux writes a console in pieces of 16 bytes, waits for each
 * one, and is interrupted for each one all the same, which is made as cheap as can be. Without ioeventfd: QEMU's main loop
 * takes longer to be woken than the processor's own thread to see to it (three times the throughput under TCG). Without
 * event index and with the plain interrupt, half as much again.
 */
export function serialBus(pci: PciLayout): Device {
  return {
    driver: 'virtio-serial-pci',
    id: serialBusId,
    ...pci.integrated(),
    ioeventfd: false,
    event_idx: false,
    vectors: 0,
  };
}
