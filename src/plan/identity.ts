import { createHash } from 'node:crypto';
import type { HostFacts } from '../host/facts.ts';

/** 32 bytes that stay the same for the same words; the first word says what they are for. */
function digest(...words: readonly string[]): Buffer {
  const hash = createHash('sha256').update('vmspawn');
  for (const word of words) hash.update('\0').update(word);
  return hash.digest();
}

function uuidFrom(bytes: Buffer): string {
  const copy = Buffer.from(bytes.subarray(0, 16));
  // RFC 9562 version 8 (vendor-specific) and variant bits, so that nobody takes it for a random or a name-based one.
  copy.writeUInt8((copy.readUInt8(6) & 0x0f) | 0x80, 6);
  copy.writeUInt8((copy.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = copy.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The machine's UUID where the user gave none: the same on every start of the same name on the same host. */
export function machineUuid(facts: HostFacts, machine: string): string {
  return uuidFrom(digest('uuid', facts.machineId, machine));
}

/** The VM generation ID: another one for every run, since a run may continue from older state. */
export function generationId(facts: HostFacts): string {
  return uuidFrom(digest('vmgenid', facts.invocationId));
}

/** A locally administered unicast MAC address, stable for a machine of this host. */
export function macAddress(facts: HostFacts, machine: string, nic: number): string {
  const bytes = Buffer.from(digest('mac', facts.machineId, machine, String(nic)).subarray(0, 6));
  bytes.writeUInt8((bytes.readUInt8(0) & 0xfc) | 0x02, 0);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A vsock CID from the machine's name, in the range that guests may have (3 to 4294967294). */
export function vsockCid(machine: string): number {
  const [low, high] = [3, 0xfffffffe];
  return low + (digest('cid', machine).readUInt32BE(0) % (high - low + 1));
}

/** A lock file name for something that has only a path (a state file that may not exist yet). */
export function pathLockName(kind: string, path: string): string {
  return `${kind}-${digest('lock', path).toString('hex', 0, 12)}`;
}
