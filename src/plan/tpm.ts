import { join } from 'node:path';
import { HostError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PlannedAuxiliary, PlannedTpmState } from './plan.ts';
import { besideImage, stateHolders } from './state.ts';

export interface PlannedTpm {
  readonly state: PlannedTpmState;
  readonly auxiliary: Omit<PlannedAuxiliary, 'units'>;
}

/** Device models by architecture; no entry: QEMU has no TPM there that swtpm can serve. */
const tpmDevices: { readonly [architecture: string]: string } = {
  x86_64: 'tpm-tis',
  aarch64: 'tpm-tis-device',
};

/** A TPM 2.0 from swtpm: the daemon, its state and the device. null where there is none; --tpm=yes insists. */
export function planTpm(
  settings: Settings,
  facts: HostFacts,
  runtimeDirectory: string,
  draft: Draft,
): PlannedTpm | null {
  if (settings.tpm === false) return null;
  const device = tpmDevices[facts.architecture];
  const obstacle =
    device === undefined
      ? `there is no TPM device for ${facts.architecture}`
      : facts.swtpm.usable
        ? null
        : facts.swtpm.reason;
  if (obstacle !== null || device === undefined || !facts.swtpm.usable) {
    if (settings.tpm === true) {
      throw new HostError(`--tpm=yes cannot be met: ${obstacle}`, {
        hint: 'Install swtpm (Debian packages swtpm and swtpm-tools), or use --tpm=no.',
      });
    }
    draft.notice(`The machine gets no TPM: ${obstacle}.`);
    return null;
  }
  const swtpm = facts.swtpm;
  const path = besideImage(
    { setting: settings.tpmState, ephemeral: settings.ephemeral },
    '.tpmstate',
    'tpm-state',
    facts,
    draft,
  );
  if (path !== null && swtpm.setup === null) {
    draft.notice(
      'The TPM is not manufactured (no endorsement key): swtpm_setup is missing (Debian package swtpm-tools).',
    );
  }
  const directory = path ?? join(runtimeDirectory, 'tpm');
  const socket = join(runtimeDirectory, 'tpm.sock');
  draft.chardevs.push({ id: 'tpm-socket', backend: 'socket', path: socket, server: false });
  draft.tpmdevs.push({ id: 'tpm0', type: 'emulator', chardev: 'tpm-socket' });
  draft.devices.push({ driver: device, id: 'tpm-device0', tpmdev: 'tpm0' });
  return {
    state: {
      directory,
      persistent: path !== null,
      setup: path === null ? null : swtpm.setup,
      required: settings.tpm === true,
      ...(path === null ? {} : stateHolders(facts)),
    },
    auxiliary: {
      name: 'swtpm',
      description: 'TPM emulator',
      binary: swtpm.binary,
      // terminate: it goes when QEMU's connection does, also if we are killed and cannot end it.
      workingDirectory: directory,
      arguments: [
        'socket',
        '--tpm2',
        '--tpmstate',
        'dir=.,mode=0600',
        '--ctrl',
        'type=unixio,fd={socket}',
        '--terminate',
      ],
      socket: { kind: 'listening', path: socket },
      required: settings.tpm === true,
    },
  };
}
