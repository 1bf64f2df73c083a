import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { childCommand, type Flavour } from '../child/child-program.ts';
import { ImageError, UsageError } from '../errors.ts';
import { loadFirmware, searchFirmware } from '../firmware/search.ts';
import type { FileFactCache } from '../host/cache.ts';
import type { Connections } from '../host/connections.ts';
import { findCredentials } from '../host/credentials.ts';
import type { HostFacts } from '../host/facts.ts';
import { type Environment, identity, machineId, qemuArchitecture } from '../host/identity.ts';
import { probeKvm } from '../host/kvm.ts';
import type { ManagerChoice } from '../host/manager-kind.ts';
import { probeNetwork } from '../host/network.ts';
import { nothingPassed, type PassedDevices } from '../host/passed.ts';
import { probeQemu } from '../host/qemu.ts';
import { probeServiceManager } from '../host/service-manager.ts';
import { splitWords } from '../host/split-words.ts';
import { probeSshProxy } from '../host/ssh-proxy.ts';
import { holdersOf } from '../host/state-place.ts';
import { probeSwtpm } from '../host/swtpm.ts';
import { probeTerminal } from '../host/terminal.ts';
import { probeVsock, probeVsockDaemon } from '../host/vsock.ts';
import type { ImageFacts, TreeFacts } from '../image/facts.ts';
import { inspectImage } from '../image/inspect.ts';
import { inspectInitrd, inspectKernel } from '../image/kernel.ts';
import { imageFormatOf } from '../image/name.ts';
import { sha256 } from '../plan/digest.ts';
import { vsockCids } from '../plan/identity.ts';
import { saysRoot } from '../plan/root-words.ts';
import type { ExtraDrive, Settings } from '../settings/settings.ts';
import { ioUringWorks } from '../sys/io-uring.ts';
import { originalDescriptorLimit } from '../sys/limits.ts';
import { isThrowAway } from './name.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface FactSources {
  readonly choice: ManagerChoice;
  readonly connections: Connections;
  /** Which of the child's programs runs here. */
  readonly flavour: Flavour;
  /** Devices that the service manager has opened for us. */
  readonly passed?: PassedDevices | undefined;
}

/**
 * Finds out, all at the same time and only as far as the settings need it, what a plan depends on. What is missing on
 * the host is a fact, not a failure; an image, kernel or initrd that cannot be read is one (ImageError), since the user
 * named it.
 */
export async function gatherFacts(
  settings: Settings,
  machine: string,
  environment: Environment,
  cache: FileFactCache,
  { choice, connections, flavour, passed = nothingPassed }: FactSources,
): Promise<HostFacts> {
  const path = environment['PATH'] ?? defaultPath;
  const architecture = qemuArchitecture();
  const host = hostname();
  const home = environment['HOME'] ?? '/root';
  const { image, firmware } = settings;
  const shares = settings.directory !== null || settings.binds.length > 0;
  const { tree, binds } = shares ? await inspectShares(settings, architecture) : noShares;
  const linux = settings.linux ?? tree?.boot?.kernel ?? null;
  const initrdPaths = tree?.boot?.initrds ?? settings.initrd;
  const [kvm, qemu, swtpm, manager, found, named, imageFacts, kernel, initrds, sharing, extraDrives] =
    await Promise.all([
      settings.kvm === false
        ? { usable: false as const, reason: '--kvm=no was given' }
        : probeKvm({ cache, passed: passed.kvm }),
      probeQemu({ cache, path, architecture }),
      settings.tpm === false
        ? { usable: false as const, reason: '--tpm=no was given' }
        : probeSwtpm(path, cache),
      probeServiceManager({
        choice,
        environment,
        connections,
        register: settings.register !== false,
        units: !settings.keepUnit,
      }),
      firmware === 'none' ? { descriptors: [], problems: [] } : searchFirmware({ environment, home }),
      typeof firmware === 'object' ? loadFirmware(firmware.path) : null,
      image === null
        ? null
        : inspectImage(image, imageFormatOf(image, settings.imageFormat), {
            explicit: settings.imageFormat !== null,
          }),
      linux === null
        ? null
        : inspectKernel(linux, architecture, settings.linux === null ? 'The kernel' : '--linux='),
      Promise.all(
        initrdPaths.map((initrd) => inspectInitrd(initrd, tree?.boot ? 'The initrd' : '--initrd=')),
      ),
      shares ? import('../host/virtiofsd.ts').then(({ probeSharing }) => probeSharing(path, cache)) : null,
      Promise.all(settings.extraDrives.map(inspectExtraDrive)),
    ]);
  const seed = machineSeed(machineId() ?? host, machine, isThrowAway(settings) ? null : cache);
  cache.save();
  const guest = tree?.path ?? imageFacts?.layers[0].path ?? null;
  const vsock = findVsock(settings, seed, passed.vhostVsock, path);
  return {
    architecture,
    identity: identity(environment, originalDescriptorLimit(), choice),
    machineSeed: seed,
    runId: readFileSync('/proc/sys/kernel/random/uuid', 'utf8').trim(),
    kvm,
    ...vsock,
    qemu,
    swtpm,
    manager,
    childCommand: childCommand(flavour, []),
    firmware: { ...found, named },
    image: imageFacts,
    kernel,
    initrds,
    terminal: probeTerminal(environment),
    extraQemuArguments: extraArguments(environment),
    sharing,
    tree,
    holders: guest === null ? [] : holdersOf(guest),
    binds,
    rootPartition:
      imageFacts !== null && kernel !== null && kernel.type !== 'uki' && !saysRoot(settings)
        ? await findRoot(imageFacts, architecture)
        : null,
    extraDrives,
    ioUring: (image !== null || extraDrives.length > 0) && ioUringWorks(),
    loadedCredentials: findCredentials(settings.credentials, environment),
    network: probeNetwork(environment, settings.network.includes('tap')),
    node: process.execPath,
    sshProxy: settings.passSshKey === false ? { vsock: false, vsockMux: false } : probeSshProxy(),
  };
}

/** The daemon is looked for only where the kernel has nothing. */
function findVsock(
  { vsock, vsockCid }: Settings,
  machineSeed: string,
  passed: number | null,
  path: string,
): Pick<HostFacts, 'vsock' | 'vsockDaemon'> {
  if (vsock === false) {
    const none = { usable: false as const, reason: '--vsock=no was given' };
    return { vsock: none, vsockDaemon: none };
  }
  const kernel = probeVsock(vsockCid === null ? vsockCids({ machineSeed }) : [vsockCid], passed);
  const daemon = kernel.usable
    ? { usable: false as const, reason: 'the kernel has vsock' }
    : probeVsockDaemon(path);
  return { vsock: kernel, vsockDaemon: daemon };
}

/** Loaded only for a direct boot from an image. */
async function findRoot(image: ImageFacts, architecture: string): Promise<HostFacts['rootPartition']> {
  if (image.layers.some(({ dataFile }) => dataFile !== null)) return null;
  const [{ openGuestDisk }, { findRootPartition, readPartitions }] = await Promise.all([
    import('../image/guest-disk.ts'),
    import('../image/gpt.ts'),
  ]);
  using disk = openGuestDisk(image);
  try {
    return findRootPartition(readPartitions(disk.read, disk.size) ?? [], architecture);
  } catch (error) {
    // What cannot be read here (zstd) QEMU may well read; what is damaged it says better.
    if (error instanceof ImageError) return null;
    throw error;
  }
}

const noShares: Pick<HostFacts, 'tree' | 'binds'> = { tree: null, binds: [] };

/** The directories that are shared. Loaded only where there are any. */
async function inspectShares(
  { directory, linux, initrd, binds, ephemeral }: Settings,
  architecture: string,
): Promise<Pick<HostFacts, 'tree' | 'binds'>> {
  const { inspectBind, inspectTree } = await import('../image/tree.ts');
  let tree: TreeFacts | null = null;
  if (directory !== null) {
    if (linux === null && initrd.length > 0) {
      throw new UsageError(`--initrd=${initrd[0]} needs a kernel`, { hint: 'Name it with --linux=PATH.' });
    }
    tree = inspectTree(directory, { architecture, findKernel: linux === null, copied: ephemeral });
  }
  return {
    tree,
    binds: binds.map(({ source, readOnly }) => inspectBind(source, readOnly ? '--bind-ro=' : '--bind=')),
  };
}

function inspectExtraDrive({ path, format }: ExtraDrive): Promise<ImageFacts> {
  const what = '--extra-drive=';
  return inspectImage(path, imageFormatOf(path, format), { explicit: format !== null, what });
}

/** A hash of the host's and the machine's name, kept so that an ordinary start does without node:crypto (7 ms). */
function machineSeed(host: string, machine: string, cache: FileFactCache | null): string {
  const key = `seed:${host}:${machine}`;
  const kept = cache?.get(key);
  if (typeof kept === 'string' && /^[0-9a-f]{64}$/.test(kept)) return kept;
  const seed = sha256(`vmspawn machine\0${host}\0${machine}`);
  cache?.set(key, seed);
  return seed;
}

function extraArguments(environment: Environment): readonly string[] {
  const name = 'SYSTEMD_VMSPAWN_QEMU_EXTRA';
  const words = splitWords(environment[name] ?? '');
  if (words === null) throw new UsageError(`$${name} has a quote or a backslash without an end`);
  return words;
}
