import { HostError } from '../errors.ts';
import type { Device } from '../qemu/configuration.ts';

/**
 * Who sits where on the root bus of q35. Slots 0x00 and 0x1f belong to the machine (host bridge, ICH9 with its SATA
 * and SMBus functions); 0x01 to 0x0f take devices that stay, 0x10 to 0x1e PCI Express root ports, eight to a slot, for
 * what may one day be plugged: endpoints on the root bus itself cannot be.
 */
const firstIntegratedSlot = 0x01;
const lastIntegratedSlot = 0x0f;
const firstPortSlot = 0x10;
const lastPortSlot = 0x1e;
const functionsPerSlot = 8;

/** Hands out PCI addresses; every one is counted here, so that QEMU never runs out of them half-way. */
export class PciLayout {
  #integratedSlot = firstIntegratedSlot;
  #ports = 0;

  /** Properties for a device that stays on the root bus. */
  integrated(): { readonly bus: string; readonly addr: string } {
    const slot = this.#integratedSlot++;
    if (slot > lastIntegratedSlot) throw noRoom();
    return { bus: 'pcie.0', addr: `0x${slot.toString(16)}` };
  }

  /** A root port of its own for one device: the port, to be added first, and the properties for the device. */
  behindPort(): { readonly port: Device; readonly place: { readonly bus: string; readonly addr: string } } {
    const index = this.#ports++;
    const slot = firstPortSlot + Math.floor(index / functionsPerSlot);
    const func = index % functionsPerSlot;
    if (slot > lastPortSlot) throw noRoom();
    const id = `port${index}`;
    return {
      port: {
        driver: 'pcie-root-port',
        id,
        bus: 'pcie.0',
        addr: `0x${slot.toString(16)}.${func}`,
        chassis: index + 1,
        ...(func === 0 ? { multifunction: true } : {}),
      },
      place: { bus: id, addr: '0x0' },
    };
  }
}

function noRoom(): HostError {
  return new HostError('The machine has more devices than the PCI Express bus of q35 has places');
}
