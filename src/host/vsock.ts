import { closeSync, constants, openSync } from 'node:fs';
import { codeOf } from '../sys/error-code.ts';
import { claimGuestCid } from '../sys/vsock.ts';
import type { HostFacts } from './facts.ts';
import { findProgram } from './find.ts';

const device = '/dev/vhost-vsock';

/**
 * Whether a guest can have a vsock device: the kernel's vhost-vsock was passed to us (`passed`), or opens for reading and
 * writing. `cids` are the numbers that the machine may have, best first.
 */
export function probeVsock(cids: readonly number[], passed: number | null = null): HostFacts['vsock'] {
  try {
    if (passed !== null) return { usable: true, device, passed, taken: claimed(passed, cids) };
    const fd = openSync(device, constants.O_RDWR);
    try {
      return { usable: true, device, taken: claimed(fd, cids) };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENODEV') {
      return { usable: false, reason: `${device} does not exist (kernel module vhost_vsock)` };
    }
    return { usable: false, reason: `${device} cannot be used (${code ?? String(error)})` };
  }
}

function claimed(fd: number, cids: readonly number[]): readonly number[] {
  return takenCids(cids, (cid) => claimGuestCid(fd, cid));
}

/** Those of `cids`, from the first on, that cannot be claimed; all after the first that can be are left alone. */
export function takenCids(cids: readonly number[], claim: (cid: number) => boolean): readonly number[] {
  const free = cids.findIndex(claim);
  return free === -1 ? cids : cids.slice(0, free);
}

/** The daemon that serves a vsock device over vhost-user, in $PATH or where distributions keep such programs. */
export function probeVsockDaemon(path: string): HostFacts['vsockDaemon'] {
  const binary = findProgram(['vhost-device-vsock'], { path });
  if (binary !== null) return { usable: true, binary };
  return { usable: false, reason: 'vhost-device-vsock is not installed (Debian package vhost-device-vsock)' };
}
