import { matchesGlob } from '../settings/glob.ts';
import type { Tristate } from '../settings/settings.ts';
import type { FirmwareDescriptor } from './descriptor.ts';

/** What a machine needs of its firmware. */
export interface FirmwareRequest {
  /** `uefi` or `bios` of QEMU's schema, or `direct` of our own descriptors. */
  readonly interface: string;
  /** As QEMU spells it: x86_64, aarch64. */
  readonly architecture: string;
  /** The machine type as QEMU lists it: `pc-q35-7.2` with the alias `q35`. */
  readonly machine: { readonly name: string; readonly alias: string | null };
  /** Features that must be there; one that is in `exclude` too counts as included. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** The variable store is kept, so there must be a template for it. */
  readonly nvramTemplate: boolean;
}

/** In the order in which they are checked: the later a descriptor fails, the nearer it came. */
const filters = ['mapping', 'interface', 'template', 'target', 'include', 'exclude'] as const;

export interface Rejection {
  readonly descriptor: FirmwareDescriptor;
  readonly filter: (typeof filters)[number];
  /** A sentence part: "it lacks the feature secure-boot". */
  readonly reason: string;
}

export interface FirmwareSelection {
  readonly chosen: FirmwareDescriptor | null;
  /** In order of preference. Descriptors that fit but come after the chosen one are not among them. */
  readonly rejected: readonly Rejection[];
}

/** The first descriptor that fits the request, and why the others do not. Pure. */
export function selectFirmware(
  descriptors: readonly FirmwareDescriptor[],
  request: FirmwareRequest,
): FirmwareSelection {
  let chosen: FirmwareDescriptor | null = null;
  const rejected: Rejection[] = [];
  for (const descriptor of descriptors) {
    const rejection = reject(descriptor, request);
    if (rejection !== null) rejected.push({ descriptor, ...rejection });
    else chosen ??= descriptor;
  }
  return { chosen, rejected };
}

/** The rejected descriptor that came nearest to fitting, or null when there was none. */
export function nearestRejection({ rejected }: FirmwareSelection): Rejection | null {
  let nearest: Rejection | null = null;
  for (const rejection of rejected) {
    if (nearest === null || filters.indexOf(rejection.filter) > filters.indexOf(nearest.filter)) {
      nearest = rejection;
    }
  }
  return nearest;
}

/**
 * The features asked for with what --secure-boot= adds: yes requires `secure-boot` and no excludes it, whatever
 * --firmware-features= says; auto asks for nothing, and leaves what --firmware-features= says as it is.
 */
export function withSecureBoot(
  features: { readonly include: readonly string[]; readonly exclude: readonly string[] },
  secureBoot: Tristate,
): { include: readonly string[]; exclude: readonly string[] } {
  const { include, exclude } = features;
  if (secureBoot === 'auto') return { include, exclude };
  const others = (names: readonly string[]) => names.filter((name) => name !== 'secure-boot');
  return secureBoot
    ? { include: [...others(include), 'secure-boot'], exclude: others(exclude) }
    : { include: others(include), exclude: [...others(exclude), 'secure-boot'] };
}

/** Every feature that some descriptor has, sorted, each once: what `--firmware-features=list` prints. */
export function allFeatures(descriptors: readonly FirmwareDescriptor[]): readonly string[] {
  return [...new Set(descriptors.flatMap(({ features }) => features))].sort();
}

/**
 * Whether a machine pattern of a descriptor means this machine type. The schema wants globs over versioned names
 * (`pc-q35-*`); files in the field have plain aliases (`q35`) and globs over them (`*q35*`) as well, and an old
 * version has lost its alias to the newest one. So a glob has to match any of: the versioned name, the alias, the name
 * without its version, and what the alias of the family is or was.
 */
export function matchesMachine(pattern: string, machine: FirmwareRequest['machine']): boolean {
  return machineNames(machine).some((name) => matchesGlob(pattern, name));
}

/**
 * `pc-q35-7.2` is also `pc-q35` and `q35`; `pc-i440fx-7.2` is also `pc-i440fx` and `pc`; `virt-7.2` is `virt`. A bare
 * `q35`, all that is known without a QEMU to ask, stands for some version.
 */
function machineNames({ name, alias }: FirmwareRequest['machine']): readonly string[] {
  const names = new Set([name]);
  if (alias !== null) names.add(alias);
  const versioned = /^(.+)-\d+(\.\d+)+$/.exec(name)?.[1];
  const family = versioned ?? { q35: 'pc-q35', pc: 'pc-i440fx' }[name] ?? name;
  names.add(family);
  if (versioned === undefined) names.add(`${family}-0.0`);
  if (family === 'pc-q35') names.add('q35');
  if (family === 'pc-i440fx') names.add('pc');
  return [...names];
}

function reject(
  descriptor: FirmwareDescriptor,
  request: FirmwareRequest,
): Omit<Rejection, 'descriptor'> | null {
  const { mapping, features } = descriptor;
  if (mapping.device === 'other') {
    return { filter: 'mapping', reason: `its mapping "${mapping.name}" names no firmware file to load` };
  }
  if (mapping.device === 'flash' && mapping.mode === 'combined') {
    return { filter: 'mapping', reason: 'it keeps code and variables in one file, which is not supported' };
  }
  if (!descriptor.interfaceTypes.includes(request.interface)) {
    return { filter: 'interface', reason: `it does not offer the interface ${request.interface}` };
  }
  if (request.nvramTemplate && !(mapping.device === 'flash' && mapping.mode === 'split')) {
    return { filter: 'template', reason: 'it has no template for the variable store' };
  }
  const { architecture, machine } = request;
  const targets = descriptor.targets.filter((target) => target.architecture === architecture);
  if (targets.length === 0) {
    return { filter: 'target', reason: `it is not for the architecture ${architecture}` };
  }
  if (!targets.some(({ machines }) => machines.some((pattern) => matchesMachine(pattern, machine)))) {
    return { filter: 'target', reason: `it is not for the machine type ${machine.name}` };
  }
  const missing = request.include.filter((feature) => !features.includes(feature));
  if (missing.length > 0) {
    return { filter: 'include', reason: `it lacks the ${enumerate(missing)}` };
  }
  const unwanted = features.filter(
    (feature) => request.exclude.includes(feature) && !request.include.includes(feature),
  );
  if (unwanted.length > 0) {
    return { filter: 'exclude', reason: `it has the excluded ${enumerate(unwanted)}` };
  }
  return null;
}

/** "feature a", "features a, b and c" */
function enumerate(names: readonly string[]): string {
  const unique = [...new Set(names)];
  if (unique.length === 1) return `feature ${unique[0]}`;
  return `features ${unique.slice(0, -1).join(', ')} and ${unique.at(-1)}`;
}
