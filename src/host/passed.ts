import { closeSync, fstatSync } from 'node:fs';
import { takeListenDescriptors } from '../sys/listen-descriptors.ts';
import type { Environment } from './identity.ts';

/** Devices that the service manager opened for us (`OpenFile=`, the descriptor store), by descriptor; null: not passed. */
export interface PassedDevices {
  readonly kvm: number | null;
  readonly vhostVsock: number | null;
}

export const nothingPassed: PassedDevices = { kvm: null, vhostVsock: null };

/** Major and minor number as st_rdev has them: both are miscellaneous devices (10) with fixed minors. */
const devices = { kvm: (10 << 8) | 232, 'vhost-vsock': (10 << 8) | 241 } as const;

/**
 * Takes the descriptors named `kvm` and `vhost-vsock` among those that were passed to us (sd_listen_fds(3)); all others,
 * and what is not the device that it is named after, are closed, each with a sentence for `warn`.
 */
export function takePassedDevices(
  environment: Environment,
  pid: number,
  warn: (text: string) => void,
): PassedDevices {
  const { descriptors, problem } = takeListenDescriptors(environment, pid);
  if (problem !== null) warn(`No passed descriptor is used: ${problem}.`);
  const found: { kvm: number | null; 'vhost-vsock': number | null } = { kvm: null, 'vhost-vsock': null };
  for (const { name, fd } of descriptors) {
    const obstacle = obstacleOf(name, fd, found);
    if (obstacle === null && (name === 'kvm' || name === 'vhost-vsock')) found[name] = fd;
    else {
      closeSync(fd);
      warn(`The passed descriptor ${fd} (${JSON.stringify(name)}) is closed: ${obstacle}.`);
    }
  }
  return { kvm: found.kvm, vhostVsock: found['vhost-vsock'] };
}

function obstacleOf(
  name: string,
  fd: number,
  found: { readonly kvm: number | null; readonly 'vhost-vsock': number | null },
): string | null {
  if (name !== 'kvm' && name !== 'vhost-vsock') return 'only those named kvm and vhost-vsock have a use here';
  if (found[name] !== null) return 'there is one of this name already';
  const { rdev, mode } = fstatSync(fd);
  const character = (mode & 0o170000) === 0o020000;
  return character && rdev === devices[name] ? null : `it is not /dev/${name}`;
}
