import type { HostFacts } from '../host/facts.ts';
import { sha256 } from './digest.ts';

/** Which bytes of the machine's seed make what; none is used twice. */
const parts = { uuid: [0, 16], mac: [16, 22], cid: [22, 26], cidStep: [26, 30] } as const;

function seedBytes(facts: Pick<HostFacts, 'machineSeed'>, part: keyof typeof parts): Buffer {
  const [start, end] = parts[part];
  return Buffer.from(facts.machineSeed, 'hex').subarray(start, end);
}

/** Hexadecimal digits with hyphens where a UUID has them. */
function hyphenated(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The machine's UUID where the user gave none: the same on every start of the same name on the same host. */
export function machineUuid(facts: HostFacts): string {
  const bytes = seedBytes(facts, 'uuid');
  // RFC 9562 version 8 (vendor-specific) and variant bits, so that nobody takes it for a random or a name-based one.
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return hyphenated(bytes.toString('hex'));
}

/** The VM generation ID: another one for every run, since a run may continue from older state. */
export function generationId(facts: HostFacts): string {
  return facts.runId;
}

/** A locally administered unicast MAC address, stable for a machine of this host. */
export function macAddress(facts: HostFacts, nic: number): string {
  const bytes = seedBytes(facts, 'mac');
  bytes.writeUInt8((bytes.readUInt8(0) & 0xfc) | 0x02, 0);
  bytes.writeUInt8((bytes.readUInt8(5) + nic) % 256, 5);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** How many CIDs a machine tries; that two of a host's machines have the same first one is a chance of one in billions. */
const cidTries = 16;

/** The vsock CIDs of a machine, best first, all different, in the range that guests may have (3 to 4294967294). */
export function vsockCids(facts: Pick<HostFacts, 'machineSeed'>): number[] {
  const [low, high] = [3, 0xfffffffe];
  const count = high - low + 1;
  const first = seedBytes(facts, 'cid').readUInt32BE(0);
  // Two machines that meet once do not go on together.
  const step = 1 + (seedBytes(facts, 'cidStep').readUInt32BE(0) % Math.floor(count / cidTries - 1));
  return Array.from({ length: cidTries }, (_, index) => low + ((first + index * step) % count));
}

/** File names end at 255 bytes (NAME_MAX). */
const lockNameLimit = 200;

/** A lock file name for something that has only a path (a state file that may not exist yet). */
export function pathLockName(kind: string, path: string): string {
  const name = `${kind}-${encodeURIComponent(path)}`;
  return name.length <= lockNameLimit ? name : `${kind}-${sha256(path)}`;
}
