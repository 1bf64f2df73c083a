import type { Qmp } from './qmp.ts';

/**
 * Where QEMU has the registers of a virtio device of PCI (modern_mem_bar_idx), and in them the device's status (virtio 1.2,
 * 4.1.4.3). Reading that one changes nothing.
 */
const [registersBar, statusOffset] = [4, 0x14];

/** DRIVER_OK: a driver works with the device (virtio 1.2, 2.1). */
const driverOk = 0x04;

/** What no device says: nothing answers at the address. */
const nothing = 0xff;

/** Milliseconds for each answer. */
const answerTimeout = 2_000;

/**
 * Whether a driver of the guest (or its firmware) works with the virtio devices of these ids; null for one of which that
 * cannot be told. Read like the guest would: `x-query-virtio-status` aborts QEMU 11 for a device in use. Never rejects.
 */
export async function devicesDriven(
  qmp: Pick<Qmp, 'execute'>,
  ids: readonly string[],
): Promise<readonly (boolean | null)[]> {
  const options = { timeout: answerTimeout };
  try {
    const regions = await qmp.execute('query-pci', undefined, options);
    return await Promise.all(
      ids.map(async (id) => {
        const region = regions.find(({ device, bar }) => device === id && bar === registersBar);
        if (region === undefined) return null;
        const line = `xp /1xb 0x${(region.address + statusOffset).toString(16)}`;
        return isDriven(await qmp.execute('human-monitor-command', { 'command-line': line }, options));
      }),
    );
  } catch {
    return ids.map(() => null);
  }
}

/** Of `ADDRESS: 0xSTATUS`. */
function isDriven(answer: string): boolean | null {
  const text = /^[0-9a-f]+: 0x([0-9a-f]{2})\s*$/.exec(answer)?.[1];
  if (text === undefined) return null;
  const status = Number.parseInt(text, 16);
  return status === nothing ? null : (status & driverOk) !== 0;
}
