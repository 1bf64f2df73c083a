import { join } from 'node:path';
import { HostError } from '../errors.ts';
import type { HostFacts, QemuFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import { vsockCids } from './identity.ts';
import { shareMemory } from './memory.ts';
import type { PciLayout } from './pci.ts';
import type { GuestSocket, PlannedAuxiliary } from './plan.ts';

const userDevice = 'vhost-user-vsock-pci';

/** The port that the guest reports to through the daemon; each machine has its ports for itself there. */
const notifyPort = 1024;

/** A machine's AF_VSOCK device. */
export type PlannedVsock =
  /** The kernel's: the whole host reaches the guest by its CID. */
  | { readonly kind: 'kernel'; readonly cid: number }
  /** A daemon's, which has Unix sockets in place of AF_VSOCK on our side. */
  | {
      readonly kind: 'daemon';
      /** Who connects here and writes `CONNECT PORT` and a line feed reaches that port of the guest. */
      readonly hostSocket: string;
      readonly notify: GuestSocket;
      readonly auxiliary: Omit<PlannedAuxiliary, 'units'>;
    };

export interface VsockInput {
  readonly settings: Settings;
  readonly facts: HostFacts;
  readonly qemu: QemuFacts;
  readonly runtimeDirectory: string;
  /** There is a system in the guest that can be told to report by vsock. */
  readonly reports: boolean;
}

/**
 * A vsock device where the host has one, or null. The kernel's comes first. A daemon and memory that is shared with it are
 * worth it for a guest that reports, or on request. Throws HostError for --vsock=yes without, and for a CID that is taken.
 */
export function planVsock(input: VsockInput, draft: Draft, pci: PciLayout): PlannedVsock | null {
  const { settings, facts, qemu, reports } = input;
  if (settings.vsock === false) return null;
  const option =
    settings.vsockCid !== null
      ? `--vsock-cid=${settings.vsockCid}`
      : settings.vsock === true
        ? '--vsock=yes'
        : null;
  const cids = settings.vsockCid === null ? vsockCids(facts) : [settings.vsockCid];
  if (facts.vsock.usable) {
    const { taken } = facts.vsock;
    const cid = cids.find((one) => !taken.includes(one));
    if (cid !== undefined) return kernelVsock(facts.vsock, cid, draft, pci);
    if (option === null) {
      draft.notice('The machine gets no vsock device: other machines have all of its CIDs.');
      return null;
    }
    if (settings.vsockCid === null) {
      throw new HostError(`${option} cannot be met: other machines have all CIDs of this one`, {
        hint: 'Give it another one with --vsock-cid=.',
      });
    }
    throw new HostError(`${option} cannot be met: another machine of this host has this CID`, {
      hint: "Give another one, or leave the option out for one by the machine's name.",
    });
  }
  const obstacle = !facts.vsockDaemon.usable
    ? facts.vsockDaemon.reason
    : qemu.devices.includes(userDevice)
      ? null
      : `${qemu.binary} has no ${userDevice} device`;
  if (obstacle === null && facts.vsockDaemon.usable && (option !== null || reports)) {
    const [cid = 3] = cids;
    return daemonVsock(input, facts.vsockDaemon.binary, cid, option !== null, draft, pci);
  }
  if (option === null) return null;
  throw new HostError(`${option} cannot be met: ${facts.vsock.reason}, and ${obstacle}`);
}

function kernelVsock(
  { device, passed }: HostFacts['vsock'] & { usable: true },
  cid: number,
  draft: Draft,
  pci: PciLayout,
): PlannedVsock {
  const fd = draft.descriptor(
    passed === undefined ? { kind: 'vsock', path: device, cid } : { kind: 'inherit', source: passed },
  );
  draft.devices.push({
    driver: 'vhost-vsock-pci',
    id: 'vsock0',
    ...pci.integrated(),
    'guest-cid': cid,
    vhostfd: String(fd),
  });
  return { kind: 'kernel', cid };
}

/** The daemon makes its sockets itself: one for QEMU, one for who wants to reach the guest (`CONNECT PORT`). */
function daemonVsock(
  { settings, runtimeDirectory }: VsockInput,
  binary: string,
  cid: number,
  required: boolean,
  draft: Draft,
  pci: PciLayout,
): PlannedVsock {
  shareMemory(settings, draft);
  const [control, host] = ['vsock.sock', 'vsock'];
  const path = join(runtimeDirectory, control);
  draft.chardevs.push({ id: 'vsock', backend: 'socket', path, server: false });
  draft.devices.push({ driver: userDevice, id: 'vsock0', ...pci.integrated(), chardev: 'vsock' });
  return {
    kind: 'daemon',
    hostSocket: join(runtimeDirectory, host),
    // Its rule: what the guest sends to a port of its host comes in at the path with the port behind it.
    notify: { path: join(runtimeDirectory, `${host}_${notifyPort}`), port: notifyPort },
    auxiliary: {
      name: 'vsock',
      description: 'vsock device',
      binary,
      workingDirectory: runtimeDirectory,
      arguments: [`--guest-cid=${cid}`, `--socket=${control}`, `--uds-path=${host}`],
      socket: { kind: 'path', path },
      required,
      expendable: true,
    },
  };
}
