import type { Device } from '../qemu/configuration.ts';
import type { PciLayout } from './pci.ts';

/** Its id among QEMU's devices. */
export const balloonId = 'balloon0';

/** Gives memory that the guest does not use back to the host. */
export function balloon(pci: PciLayout): Device {
  return { driver: 'virtio-balloon-pci', id: balloonId, ...pci.integrated(), 'free-page-reporting': true };
}
