import type { Device } from '../qemu/configuration.ts';
import type { PciLayout } from './pci.ts';

/**
 * The bus of the virtio console and of the ports beside it. Without ioeventfd: Linux writes a console in pieces of 16 bytes
 * and waits for each one, and QEMU's main loop takes longer to be woken than the processor's own thread to see to it
 * (three times the throughput under TCG).
 */
export function serialBus(pci: PciLayout): Device {
  return { driver: 'virtio-serial-pci', id: 'serial0', ...pci.integrated(), ioeventfd: false };
}
