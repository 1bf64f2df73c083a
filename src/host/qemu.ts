import { statSync } from 'node:fs';
import type { FactCache } from './cache.ts';
import type { QemuFacts, Usable } from './facts.ts';
import { findProgram } from './find.ts';
import { type Answer, askQemu, type Question } from './qemu-session.ts';

type Version = readonly [number, number, number];

/** What the arguments that we write need, and the QEMU that has it first. The newest of them is the oldest QEMU that will do. */
export const requirements: readonly { readonly feature: string; readonly since: Version }[] = [
  { feature: '-object as JSON', since: [6, 0, 0] },
  { feature: '-device as JSON', since: [6, 2, 0] },
  { feature: '-netdev as JSON', since: [7, 2, 0] },
];

/** Members of QAPI that decide how something is said. */
const SCHEMA_MEMBERS = ['discard-no-unref'];

/** Values of the enumeration that has the other one too, since a name may stand in several with another meaning. */
const SCHEMA_VALUES = [{ value: 'io_uring', beside: 'threads' }];

const FORMAT = 2;

/** `qemu-system-x86_64 -version` takes 20 ms; a host that starts fifty of them at once far longer. */
const TIMEOUT = 20_000;

const QUESTIONS: readonly Question[] = [
  { execute: 'query-version' },
  { execute: 'query-target' },
  { execute: 'query-machines' },
  { execute: 'qom-list-types', arguments: { implements: 'device', abstract: false } },
  { execute: 'qom-list-types', arguments: { implements: 'accel', abstract: false } },
  // Built without seccomp, QEMU does not know the option.
  { execute: 'query-command-line-options', arguments: { option: 'sandbox' } },
  { execute: 'query-qmp-schema' },
];

/**
 * Finds a QEMU for `architecture` (as QEMU spells it) and reads from it what it can do. Candidates in order:
 * qemu-system-ARCH and qemu-kvm in `path` ($PATH), /usr/libexec/qemu-kvm, qemu in `path`. The plain name comes last, and
 * none is believed by its name: a `qemu` may be a wrapper, an emulator of another architecture or no system emulator
 * at all, so each must answer on QMP for the right target. The first that does wins; if none does, the reason is that
 * of the first. Never rejects. `timeout` is in milliseconds, for each candidate.
 */
export async function probeQemu({
  cache,
  path,
  architecture,
  timeout = TIMEOUT,
  directories = ['/usr/libexec'],
}: {
  cache: FactCache;
  path: string;
  architecture: string;
  timeout?: number;
  /** Where qemu-kvm is when it is not in $PATH. */
  directories?: readonly string[];
}): Promise<Usable<QemuFacts>> {
  const candidates = [
    findProgram([`qemu-system-${architecture}`], { path, extra: [] }),
    findProgram(['qemu-kvm'], { path, extra: directories }),
    findProgram(['qemu'], { path, extra: [] }),
  ].filter((binary) => binary !== null);
  let first: { readonly usable: false; readonly reason: string } | undefined;
  for (const binary of candidates) {
    const facts = await probeBinary(binary, { cache, architecture, timeout }).catch((error: unknown) => {
      const words = error instanceof Error ? error.message : String(error);
      return { usable: false, reason: `${binary} cannot be started (${words})` } as const;
    });
    if (facts.usable) return facts;
    first ??= facts;
  }
  return (
    first ?? {
      usable: false,
      reason: `no qemu-system-${architecture} in PATH (Debian has it in the package ${debianPackage(architecture)})`,
    }
  );
}

async function probeBinary(
  binary: string,
  { cache, architecture, timeout }: { cache: FactCache; architecture: string; timeout: number },
): Promise<Usable<QemuFacts>> {
  const key = cacheKey(binary, architecture);
  const kept = key === null ? null : parseQemuFacts(cache.get(key), binary);
  if (kept !== null) return { usable: true, ...kept };

  const { answers, greeting, failure } = await askQemu(binary, QUESTIONS, { timeout });
  const refuse = (reason: string) =>
    ({ usable: false, reason: `${binary} is of no use: ${reason}` }) as const;
  const version = parseVersion(member(greeting, 'version'));
  // Said first: an old QEMU may fail in other ways too.
  const missing = version === null ? undefined : unmet(version);
  if (version !== null && missing !== undefined) {
    return refuse(
      `it is QEMU ${version.join('.')}, and ${missing.since.join('.')} or newer is needed (for ${missing.feature})`,
    );
  }
  if (failure !== null) return refuse(failure);
  const [, target, machines, devices, accelerators, sandbox, schema] = answers.map(value);
  if (member(target, 'arch') !== architecture) {
    return refuse(`it emulates ${String(member(target, 'arch'))}, not ${architecture}`);
  }
  const facts = parseQemuFacts(
    {
      format: FORMAT,
      binary,
      version,
      machines: array(machines).map((machine) => ({
        name: member(machine, 'name'),
        alias: member(machine, 'alias') ?? null,
      })),
      devices: array(devices).map((type) => member(type, 'name')),
      accelerators: array(accelerators)
        .map((type) => member(type, 'name'))
        .filter((name) => typeof name === 'string' && name.endsWith('-accel'))
        .map((name) => String(name).replace(/-accel$/, '')),
      sandbox: sandbox !== undefined,
      schema: schemaMembers(schema),
    },
    binary,
  );
  if (facts === null) return refuse('its answers on QMP are not those of a QEMU');
  if (key !== null) cache.set(key, { format: FORMAT, ...facts });
  return { usable: true, ...facts };
}

/** The newest requirement that `version` does not meet. */
function unmet(version: Version): (typeof requirements)[number] | undefined {
  return requirements.findLast(({ since }) => compare(version, since) < 0);
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** Facts change with the binary, and with the modules that other packages add (virtio-gpu, spice). */
function cacheKey(binary: string, architecture: string): string | null {
  const modules = [
    `/usr/lib/${architecture}-linux-gnu/qemu`,
    '/usr/lib64/qemu-kvm',
    '/usr/lib64/qemu',
    '/usr/lib/qemu',
  ];
  try {
    const { size, mtimeNs, ino } = statSync(binary, { bigint: true });
    const times = modules.map(
      (directory) => statSync(directory, { bigint: true, throwIfNoEntry: false })?.mtimeNs ?? 0n,
    );
    return ['qemu', FORMAT, architecture, binary, size, mtimeNs, ino, ...times].join(':');
  } catch {
    return null;
  }
}

/** Facts from a cache, or null for anything that is not exactly facts about `binary`. */
export function parseQemuFacts(facts: unknown, binary: string): QemuFacts | null {
  if (member(facts, 'format') !== FORMAT || member(facts, 'binary') !== binary) return null;
  const [major, minor, micro] = array(member(facts, 'version'));
  const machines = array(member(facts, 'machines')).map((machine) => ({
    name: member(machine, 'name'),
    alias: member(machine, 'alias'),
  }));
  const devices = member(facts, 'devices');
  const accelerators = member(facts, 'accelerators');
  const sandbox = member(facts, 'sandbox');
  const schema = member(facts, 'schema');
  if (!isNumber(major) || !isNumber(minor) || !isNumber(micro) || typeof sandbox !== 'boolean') return null;
  if (machines.length === 0 || !machines.every(isMachine)) return null;
  if (!isStrings(devices) || !isStrings(accelerators) || !isStrings(schema) || devices.length === 0)
    return null;
  return { binary, version: [major, minor, micro], machines, devices, accelerators, sandbox, schema };
}

function schemaMembers(schema: unknown): string[] {
  const names = new Set(
    array(schema).flatMap((type) => array(member(type, 'members')).map((each) => member(each, 'name'))),
  );
  const enumerations = array(schema)
    .filter((type) => member(type, 'meta-type') === 'enum')
    .map((type) => array(member(type, 'values')));
  const values = SCHEMA_VALUES.filter(({ value, beside }) =>
    enumerations.some((each) => each.includes(value) && each.includes(beside)),
  );
  return [...SCHEMA_MEMBERS.filter((name) => names.has(name)), ...values.map((one) => one.value)];
}

function parseVersion(version: unknown): Version | null {
  const qemu = member(version, 'qemu');
  const [major, minor, micro] = ['major', 'minor', 'micro'].map((name) => member(qemu, name));
  return isNumber(major) && isNumber(minor) && isNumber(micro) ? [major, minor, micro] : null;
}

function value(answer: Answer | null): unknown {
  return answer !== null && 'value' in answer ? answer.value : undefined;
}

function member(from: unknown, name: string): unknown {
  if (typeof from !== 'object' || from === null || !Object.hasOwn(from, name)) return undefined;
  return Reflect.get(from, name);
}

function array(from: unknown): readonly unknown[] {
  return Array.isArray(from) ? from : [];
}

function isNumber(from: unknown): from is number {
  return typeof from === 'number' && Number.isSafeInteger(from) && from >= 0;
}

function isStrings(from: unknown): from is string[] {
  return Array.isArray(from) && from.every((each) => typeof each === 'string');
}

function isMachine(from: { name: unknown; alias: unknown }): from is { name: string; alias: string | null } {
  return typeof from.name === 'string' && (from.alias === null || typeof from.alias === 'string');
}

function debianPackage(architecture: string): string {
  if (/^(x86_64|i386)$/.test(architecture)) return 'qemu-system-x86';
  if (/^(aarch64|arm)$/.test(architecture)) return 'qemu-system-arm';
  if (/^ppc/.test(architecture)) return 'qemu-system-ppc';
  return 'qemu-system-misc';
}
