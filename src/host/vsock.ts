import { closeSync, constants, openSync } from 'node:fs';
import type { HostFacts } from './facts.ts';

const device = '/dev/vhost-vsock';

/**
 * Whether a guest can have a vsock device: the kernel's vhost-vsock was passed to us (`passed`), or opens for reading and
 * writing.
 */
export function probeVsock(passed: number | null = null): HostFacts['vsock'] {
  if (passed !== null) return { usable: true, device, passed };
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
