import { HostError } from '../errors.ts';
import type { Device } from '../qemu/configuration.ts';

/**
 * Who sits where on the root bus of q35. Slots 0x00 and 0x1f belong to the machine (host bridge, ICH9 with its SATA
 * and SMBus functions); 0x01 to 0x0f take devices that stay, 0x10 to 0x1d PCI Express root ports, eight to a slot, for
 * what can be plugged: endpoints on the root bus itself cannot be. The last slot has the ports that are still free when
 * the machine starts, so that they are the same however many devices there are.
 */
const firstIntegratedSlot = 0x01;
const lastIntegratedSlot = 0x0f;
const firstPortSlot = 0x10;
const lastPortSlot = 0x1d;
const sparePortSlot = 0x1e;
const functionsPerSlot = 8;
const portLimit = (lastPortSlot - firstPortSlot + 1) * functionsPerSlot;
/** As many as fit into the slot. Measured with OVMF under TCG: eight empty ports cost no time that could be told. */
const sparePorts = functionsPerSlot;

/** Hands out PCI addresses; every one is counted here, so that QEMU never runs out of them half-way. */
export class PciLayout {
  #integratedSlot = firstIntegratedSlot;
  #ports = 0;

  /** Properties for a device that stays on the root bus. Throws HostError when there is no slot left. */
  integrated(): { readonly bus: string; readonly addr: string } {
    const slot = this.#integratedSlot++;
    if (slot > lastIntegratedSlot) throw noRoom(`${lastIntegratedSlot} devices that stay`);
    return { bus: 'pcie.0', addr: `0x${slot.toString(16)}` };
  }

  /**
   * A root port of its own for one device: the port, to be added first, and the properties for the device. Throws
   * HostError when there is no port left.
   */
  behindPort(): { readonly port: Device; readonly place: { readonly bus: string; readonly addr: string } } {
    const index = this.#ports++;
    if (index >= portLimit) throw noRoom(`${portLimit} devices on ports of their own`);
    const id = `port${index}`;
    const slot = firstPortSlot + Math.floor(index / functionsPerSlot);
    return {
      port: rootPort(id, slot, index % functionsPerSlot, index + 1),
      place: { bus: id, addr: '0x0' },
    };
  }

  /** Ports with nothing in them, `spare0` and so on, for what is plugged into the running machine. */
  spares(): Device[] {
    return Array.from({ length: sparePorts }, (_, index) =>
      rootPort(`spare${index}`, sparePortSlot, index, portLimit + index + 1),
    );
  }
}

function rootPort(id: string, slot: number, func: number, chassis: number): Device {
  return {
    driver: 'pcie-root-port',
    id,
    bus: 'pcie.0',
    addr: `0x${slot.toString(16)}.${func}`,
    chassis,
    ...(func === 0 ? { multifunction: true } : {}),
  };
}

function noRoom(places: string): HostError {
  return new HostError(`The machine has more devices than its PCI Express bus has places (${places})`, {
    hint: 'Leave some out, or let drives share one place with --image-disk-type=virtio-scsi.',
  });
}
