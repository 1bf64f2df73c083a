import { join } from 'node:path';
import { HostError, UsageError } from '../errors.ts';
import type { HostFacts, QemuFacts } from '../host/facts.ts';
import type { QemuConfiguration } from '../qemu/configuration.ts';
import type { Settings } from '../settings/settings.ts';
import { planAccelerator } from './accelerator.ts';
import { auxiliaryUnits } from './auxiliary-units.ts';
import { balloon } from './balloon.ts';
import { planConsole } from './console.ts';
import { addUserCredentials, canTellGuest, planCredentials } from './credentials.ts';
import { planDirectories } from './directories.ts';
import { diskImages, planGrowth } from './disk-images.ts';
import { Draft } from './draft.ts';
import { planDrives } from './drives.ts';
import { planFirmware } from './firmware.ts';
import { renderFstab } from './guest-mounts.ts';
import { generationId, machineUuid } from './identity.ts';
import { planKernel } from './kernel.ts';
import { planLocks } from './locks.ts';
import { planManager, sliceOf } from './manager.ts';
import { planNetwork } from './network.ts';
import { PciLayout } from './pci.ts';
import type { Plan } from './plan.ts';
import { planReadiness } from './readiness.ts';
import { checkScopeOptions } from './scope-options.ts';
import { planSshKey } from './ssh.ts';
import { planTpm } from './tpm.ts';
import { planTreeCopy } from './tree-copy.ts';
import { planVsock } from './vsock.ts';
import { planWindowSize } from './window-size.ts';

/** A Unix socket's path ends at 107 bytes (unix(7): sun_path has 108 with the final NUL). */
const socketPathLimit = 107;

/** Machine types that this program knows how to fill, by architecture. */
const machineAliases: { readonly [architecture: string]: string } = { x86_64: 'q35', aarch64: 'virt' };

/**
 * The whole run, decided: a pure function of what the user asked for and what the host offers. `machine` is the machine's
 * name, already checked. Throws UsageError, HostError, ImageError or FirmwareError where the two do not fit together.
 */
export function makePlan(settings: Settings, facts: HostFacts, machine: string): Plan {
  checkScopeOptions(settings);
  const qemu = requireQemu(facts);
  const machineType = requireMachineType(facts, qemu);
  const runtimeDirectory = join(facts.identity.runtimeBase, machine);
  const draft = new Draft();
  const pci = new PciLayout();

  const qmp = draft.descriptor({ kind: 'socketpair', purpose: 'qmp' });
  draft.chardevs.push({ id: 'qmp', backend: 'socket', fd: qmp });
  draft.monitors.push({ chardev: 'qmp', mode: 'control' });

  const accelerator = planAccelerator(settings, facts, qemu, draft);
  const console = planConsole(settings, facts, draft, pci);
  planCommonDevices(facts, qemu, draft, pci);
  const firmware = planFirmware(settings, facts, machineType, draft);
  const kernel = planKernel(settings, facts, firmware, draft);
  // Before the drives, so that another drive does not give the guest's network interfaces other names.
  planNetwork(settings, facts, machine, draft, pci);
  const disks = diskImages(settings, facts);
  const growth = planGrowth(settings, facts, draft);
  planDrives(disks, settings, facts, qemu, draft, pci);
  const tellable = canTellGuest(facts, firmware);
  const system = facts.image !== null || facts.tree !== null;
  const reports = tellable && (system || settings.notifyReady === true);
  const vsock = planVsock({ settings, facts, qemu, runtimeDirectory, reports }, draft, pci);
  const vsockCid = vsock?.kind === 'kernel' ? vsock.cid : null;
  const treeCopy = planTreeCopy(settings, facts, draft);
  const directories = planDirectories(settings, facts, qemu, runtimeDirectory, treeCopy, draft, pci);
  addUserCredentials(settings, facts, draft);
  if (draft.guestMounts.length > 0) {
    draft.addToCredential('fstab.extra', { kind: 'text', text: renderFstab(draft.guestMounts) });
  }
  const tpm = planTpm(settings, facts, runtimeDirectory, draft);

  const uuid = settings.uuid ?? machineUuid(facts);
  const control = join(runtimeDirectory, 'control');
  const sshKey = planSshKey(settings, facts, machine, vsock, runtimeDirectory, draft);
  const manager = planManager({
    settings,
    facts,
    machine,
    uuid,
    vsockCid,
    runtimeDirectory,
    control,
    sshKey,
    treeCopy,
  });
  const scope = manager?.scope ?? null;
  // What the manager starts must see our files; in our own unit daemons are our children.
  const managed = manager !== null && scope !== null && facts.manager.usable && facts.manager.sameMounts;
  const daemons = [
    ...(tpm === null ? [] : [tpm.auxiliary]),
    ...(vsock?.kind === 'daemon' ? [vsock.auxiliary] : []),
    ...directories,
  ];
  const auxiliaries = daemons.map((auxiliary) => ({
    ...auxiliary,
    units: managed ? auxiliaryUnits(auxiliary, machine, manager, scope, sliceOf(settings)) : null,
  }));
  const sockets = auxiliaries.map(({ socket }) => socket.path);
  if (vsock?.kind === 'daemon') sockets.push(vsock.notify.path);
  for (const path of [control, ...sockets]) checkSocketPath(path, machine);
  const readiness = planReadiness(
    {
      settings,
      accelerator: accelerator.name,
      tellable,
      system,
      vsock,
      tree: facts.tree,
    },
    draft,
    pci,
  );
  if (console.transport === 'pipes' && console.terminal !== null && canTellGuest(facts, firmware)) {
    planWindowSize(console.terminal, draft);
  }
  const told = planCredentials(settings, facts, firmware, kernel, draft);
  draft.devices.push(...pci.spares());

  const configuration: QemuConfiguration = {
    name: machine,
    uuid,
    machine: { type: machineType.name, properties: draft.machineProperties },
    accelerator: { name: accelerator.name, properties: accelerator.properties },
    cpu: accelerator.cpu,
    smp: { cpus: settings.cpus },
    memory: settings.ram,
    bios: firmware.bios,
    kernel: told.kernel,
    smbios11: draft.smbios11,
    display: settings.console === 'gui' ? 'gtk' : 'none',
    sandbox: planSandbox(settings, qemu, draft),
    globals: draft.globals,
    fdSets: draft.fdSets,
    objects: draft.objects,
    chardevs: draft.chardevs,
    serials: draft.serials,
    monitors: draft.monitors,
    tpmdevs: draft.tpmdevs,
    blockNodes: draft.blockNodes,
    netdevs: draft.netdevs,
    devices: draft.devices,
    // Only a machine that is still there can be asked why it could not mount a shared root file system.
    panicAction: facts.tree === null ? null : 'pause',
    paused: true,
    extra: [...settings.qemuArguments, ...facts.extraQemuArguments],
    smbios11Files: told.smbios11Files,
    fwCfg: told.fwCfg,
  };
  const nvram = firmware.nvram;
  const tpmState = tpm?.state ?? null;
  return {
    format: 1,
    machine,
    runtimeDirectory,
    control,
    manager,
    lockDirectory: facts.identity.lockDirectory,
    locks: planLocks(machine, disks, facts.tree, nvram, tpmState),
    notices: draft.notices,
    treeCopy,
    nvram,
    tpmState,
    auxiliaries,
    descriptors: draft.descriptors,
    qemu: { binary: qemu.binary, configuration, environment: {} },
    console,
    descriptorLimit: descriptorLimitOfQemu(facts.identity.descriptorLimit),
    shutdownTimeout: settings.shutdownTimeout,
    growth,
    readiness,
    sshKey,
    ...(settings.ports.length > 0 ? { ports: settings.ports } : {}),
  };
}

function requireQemu(facts: HostFacts): QemuFacts {
  if (facts.qemu.usable) return facts.qemu;
  throw new HostError(`QEMU cannot be used: ${facts.qemu.reason}`, {
    hint: 'On Debian and Ubuntu: apt install qemu-system-x86.',
  });
}

/** The versioned type, so that a machine stays the same when its plan is kept and QEMU is upgraded. */
export function requireMachineType(
  facts: Pick<HostFacts, 'architecture'>,
  qemu: QemuFacts,
): QemuFacts['machines'][number] {
  const alias = machineAliases[facts.architecture];
  const found = qemu.machines.find((machine) => machine.alias === alias) ?? null;
  if (alias === undefined || found === null) {
    throw new HostError(`${qemu.binary} has no machine type that is known here for ${facts.architecture}`);
  }
  return found;
}

function planCommonDevices(facts: HostFacts, qemu: QemuFacts, draft: Draft, pci: PciLayout): void {
  draft.objects.push({ 'qom-type': 'rng-random', id: 'rng0', filename: '/dev/urandom' });
  draft.devices.push(
    { driver: 'virtio-rng-pci', id: 'rng-device0', ...pci.integrated(), rng: 'rng0' },
    balloon(pci),
  );
  if (facts.architecture !== 'x86_64') return;
  // The HPET makes QEMU wake up all the time; guests use the TSC or kvmclock.
  draft.machineProperties['hpet'] = false;
  draft.devices.push({ driver: 'vmgenid', id: 'generation0', guid: generationId(facts) });
  // By this the guest's kernel can say that it has panicked.
  if (qemu.devices.includes('pvpanic')) draft.devices.push({ driver: 'pvpanic', id: 'panic0' });
}

/**
 * QEMU's seccomp filter, everything denied that it can deny. A window needs helpers (GTK starts threads with their own
 * priority, opens portals through D-Bus), so gui keeps only what does not get in its way.
 */
function planSandbox(settings: Settings, qemu: QemuFacts, draft: Draft): QemuConfiguration['sandbox'] {
  if (!qemu.sandbox) return null;
  if (settings.console === 'gui') {
    draft.notice('With a window, QEMU may start programs and change priorities (its sandbox is wider).');
    return { obsolete: 'deny', elevateprivileges: 'deny' };
  }
  return { obsolete: 'deny', elevateprivileges: 'deny', spawn: 'deny', resourcecontrol: 'deny' };
}

/**
 * As many as select(2) can do with, at least: with a lower soft limit, which only keeps programs of other people small, QEMU
 * has no room for the notifications of its devices, which are slow then.
 */
function descriptorLimitOfQemu({ soft, hard }: Plan['descriptorLimit']): Plan['descriptorLimit'] {
  return { soft: Math.max(soft, Math.min(1024, hard)), hard };
}

function checkSocketPath(path: string, machine: string): void {
  const length = Buffer.byteLength(path);
  if (length <= socketPathLimit) return;
  throw new UsageError(`Socket path ${path} has ${length} bytes, ${socketPathLimit} are possible`, {
    hint: `Give the machine a shorter name than ${machine} with --machine=NAME, or set XDG_RUNTIME_DIR to a shorter path.`,
  });
}
