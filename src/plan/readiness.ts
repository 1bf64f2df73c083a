import { HostError } from '../errors.ts';
import type { TreeFacts } from '../image/facts.ts';
import type { Settings } from '../settings/settings.ts';
import { hostCid } from '../sys/vsock.ts';
import type { Draft } from './draft.ts';
import type { PciLayout } from './pci.ts';
import type { PlannedReadiness } from './plan.ts';
import { serialBus, serialBusId } from './serial-bus.ts';
import type { PlannedVsock } from './vsock.ts';

/** The virtio-serial port on which a guest tells us how it is; below /dev/virtio-ports in the guest. */
export const notifyPort = 'org.vmspawn.notify';

/** Milliseconds after which a guest without a word counts as ready: with KVM, and with the slower TCG. */
export const patience = { kvm: 90_000, tcg: 300_000 } as const;

const unit = 'vmspawn-ready.service';

/** The first versions of systemd that take units in credentials, and the address of vmm.notify_socket as it is given here. */
const since = { port: 256, vsock: 254 } as const;

/** Which guests say that they are ready, as a sentence part. */
export const readySince = `systemd tells its host from version ${since.port} on, by a vsock device from ${since.vsock} on`;

/**
 * A shell command for a unit that writes `line` to the port. By the kernel's name for it, because udev may not have made
 * its link yet; the driver's module may come later still.
 */
function writing(line: string): string {
  return (
    `/bin/sh -c 'i=0; while [ $$i -lt 30 ]; do for port in /sys/class/virtio-ports/*; do ` +
    `if [ "$$(cat $$port/name)" = ${notifyPort} ]; then echo ${line} >/dev/$$(basename $$port); exit 0; fi; done; ` +
    `sleep 1; i=$$((i+1)); done'`
  );
}

/** Writes `y 42`. systemctl(1) prints no property that is a byte, and systemd's own socket is no bus: so dbus must still be there. */
const exitCode =
  'busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager ExitCode';

/**
 * Says READY=1 once the system is up and, on the way down, with which status the guest's systemd was told to end.
 * For the guest's systemd from 256 on (systemd.extra-unit.*).
 */
const unitText = `[Unit]
Description=Tell the host that the system is up
After=multi-user.target dbus.service

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutSec=90s
ExecStart=${writing('READY=1')}
ExecStop=-${writing(`EXIT_STATUS=$$(${exitCode} | cut -c3-)`)}
`;

export interface ReadinessInput {
  readonly settings: Settings;
  readonly accelerator: 'kvm' | 'tcg';
  /** Text of ours can reach the guest's systemd. */
  readonly tellable: boolean;
  /** There is a root file system for the guest, and not just an initrd. */
  readonly system: boolean;
  readonly vsock: PlannedVsock | null;
  /** The guest's tree, whose systemd is known. */
  readonly tree: Pick<TreeFacts, 'path' | 'systemd'> | null;
}

/**
 * The ways for the guest's word: over AF_VSOCK where the machine has a vsock device, and always a serial port with a
 * unit that writes to it. Throws HostError for --notify-ready=yes where neither can be told to the guest.
 */
export function planReadiness(
  { settings, accelerator, tellable, system, vsock, tree }: ReadinessInput,
  draft: Draft,
  pci: PciLayout,
): PlannedReadiness {
  const fd = draft.descriptor({ kind: 'socketpair', purpose: 'notify' });
  draft.chardevs.push({ id: 'notify', backend: 'socket', fd });
  if (!draft.devices.some(({ id }) => id === serialBusId)) draft.devices.push(serialBus(pci));
  draft.devices.push({
    driver: 'virtserialport',
    id: 'notify0',
    bus: 'serial0.0',
    chardev: 'notify',
    name: notifyPort,
  });
  let heardByVsock = false;
  if (tellable) {
    draft.credential({ name: `systemd.extra-unit.${unit}`, source: { kind: 'text', text: unitText } });
    draft.addToCredential('systemd.unit-dropin.multi-user.target', {
      kind: 'text',
      text: `[Unit]\nWants=${unit}\n`,
    });
    if (vsock !== null) heardByVsock = tellAddress(vsock, draft);
  }
  if (settings.notifyReady === true && !tellable) {
    throw new HostError(
      '--notify-ready=yes cannot be met: without UEFI firmware or a kernel of --linux= nothing can be told to this guest',
      { hint: 'Use --firmware=uefi, or leave the option out.' },
    );
  }
  if (settings.notifyReady === 'auto' && system && !tellable) {
    draft.notice(
      'Nobody can tell this guest to say when it is ready: the machine counts as ready as soon as it runs (see --notify-ready=).',
    );
  }
  const mute = tellable && tree !== null && isMute(tree, heardByVsock);
  if (mute && settings.notifyReady !== false) {
    const effect =
      settings.notifyReady === true
        ? `the machine is ready when something else there writes READY=1 to the port ${notifyPort}`
        : 'the machine counts as ready as soon as it runs';
    draft.notice(
      `systemd ${tree.systemd} in ${tree.path} does not tell its host that it is ready (${readySince}): ${effect} (see --notify-ready=).`,
    );
  }
  const guest = settings.notifyReady === 'auto' ? tellable && system && !mute : settings.notifyReady;
  return {
    guest,
    patience: guest && settings.notifyReady === 'auto' ? patience[accelerator] : null,
    ...(settings.notifyReady === true ? { reminder: patience[accelerator] } : {}),
    vsock: tellable ? heardBy(vsock) : null,
  };
}

/** A systemd that is too old for both ways. Where none was found, who can tell what the tree starts. */
function isMute({ systemd }: Pick<TreeFacts, 'systemd'>, vsock: boolean): boolean {
  return systemd !== null && systemd < (vsock ? since.vsock : since.port);
}

/** False where the user's own credential of that name takes the guest's word elsewhere. */
function tellAddress(vsock: PlannedVsock, draft: Draft): boolean {
  const name = 'vmm.notify_socket';
  if (draft.hasCredential(name)) {
    draft.notice(
      `The guest's systemd reports to the address in your credential ${name}; here it is heard on the serial port alone, which takes systemd ${since.port} or newer there.`,
    );
    return false;
  }
  draft.credential({
    name,
    source:
      vsock.kind === 'kernel'
        ? { kind: 'made', what: 'notify-address' }
        : { kind: 'text', text: guestAddress(vsock.notify.port) },
  });
  return true;
}

/** What the guest's systemd is given as the address of its host's port. */
export function guestAddress(port: number): string {
  return `vsock-stream:${hostCid}:${port}`;
}

function heardBy(vsock: PlannedVsock | null): PlannedReadiness['vsock'] {
  return vsock?.kind === 'daemon' ? { kind: 'daemon', ...vsock.notify } : vsock;
}
