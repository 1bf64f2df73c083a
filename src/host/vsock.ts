import { closeSync, constants, openSync } from 'node:fs';
import type { Usable } from './facts.ts';

const device = '/dev/vhost-vsock';

/** Whether a guest can have a vsock device: the kernel's vhost-vsock opens for reading and writing. */
export function probeVsock(): Usable<{ readonly device: string }> {
  try {
    closeSync(openSync(device, constants.O_RDWR));
    return { usable: true, device };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENODEV') {
      return { usable: false, reason: `${device} does not exist (kernel module vhost_vsock)` };
    }
    return { usable: false, reason: `${device} cannot be opened (${code ?? String(error)})` };
  }
}
