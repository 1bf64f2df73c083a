import { crc32 } from 'node:zlib';
import type { RootPartition } from './facts.ts';
import type { ReadAt } from './qcow2-clusters.ts';

/** A partition of a GUID partition table (UEFI specification, 5.3). */
export interface Partition {
  /** Type and own UUID, lower case with hyphens. */
  readonly type: string;
  readonly uuid: string;
  /** Bytes. */
  readonly offset: number;
  readonly size: number;
  readonly attributes: bigint;
  readonly label: string;
}

const signature = 'EFI PART';
const headerBytes = 92;
const entryBytesLeast = 128;
/** Of the whole array: 16 KiB in every table that is not made to be odd. */
const arrayLimit = 1024 ** 2;
const unused = '00000000-0000-0000-0000-000000000000';

/** Sectors of 512 bytes first: that is what the guest's disk has unless told otherwise. */
const sectorSizes = [512, 4096];

/**
 * The partitions of a disk of `size` bytes in the order of the table: the one at the start if its checksums are right,
 * else the one at the end. null where there is none. Throws what `read` throws.
 */
export function readPartitions(read: ReadAt, size: number): Partition[] | null {
  for (const sector of sectorSizes) {
    for (const place of [1, Math.floor(size / sector) - 1]) {
      if (place < 1) continue;
      const partitions = readTable(read, size, sector, place);
      if (partitions !== null) return partitions;
    }
  }
  return null;
}

function readTable(read: ReadAt, size: number, sector: number, place: number): Partition[] | null {
  const header = read(place * sector, sector);
  if (header.length < sector || header.toString('latin1', 0, 8) !== signature) return null;
  const length = header.readUInt32LE(12);
  if (length < headerBytes || length > sector) return null;
  const bare = Buffer.from(header.subarray(0, length));
  bare.writeUInt32LE(0, 16);
  if (crc32(bare) !== header.readUInt32LE(16)) return null;
  if (header.readBigUInt64LE(24) !== BigInt(place)) return null;
  const start = header.readBigUInt64LE(72) * BigInt(sector);
  const count = header.readUInt32LE(80);
  const entryBytes = header.readUInt32LE(84);
  if (entryBytes < entryBytesLeast || entryBytes % 8 !== 0 || count * entryBytes > arrayLimit) return null;
  if (start + BigInt(count * entryBytes) > BigInt(size)) return null;
  const array = read(Number(start), count * entryBytes);
  if (array.length !== count * entryBytes || crc32(array) !== header.readUInt32LE(88)) return null;
  const entries = Array.from({ length: count }, (_, index) =>
    parsePartition(array.subarray(index * entryBytes, (index + 1) * entryBytes), sector),
  );
  return entries.filter(({ type }) => type !== unused);
}

function parsePartition(entry: Buffer, sector: number): Partition {
  const first = entry.readBigUInt64LE(32);
  const last = entry.readBigUInt64LE(40);
  return {
    type: guid(entry, 0),
    uuid: guid(entry, 16),
    offset: Number(first) * sector,
    size: last < first ? 0 : Number(last - first + 1n) * sector,
    attributes: entry.readBigUInt64LE(48),
    label: entry.toString('utf16le', 56, 128).replace(/\0.*$/s, ''),
  };
}

/** The first three groups are little-endian numbers (UEFI specification, appendix A). */
function guid(bytes: Buffer, at: number): string {
  const hex = (length: number, from: number) =>
    bytes
      .readUIntLE(at + from, length)
      .toString(16)
      .padStart(length * 2, '0');
  return [
    hex(4, 0),
    hex(2, 4),
    hex(2, 6),
    bytes.toString('hex', at + 8, at + 10),
    bytes.toString('hex', at + 10, at + 16),
  ].join('-');
}

/** Types of the Discoverable Partitions Specification (UAPI.2), by QEMU's names of architectures. */
const discoverable: { readonly [architecture: string]: { readonly root: string; readonly usr: string } } = {
  x86_64: {
    root: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
    usr: '8484680c-9521-48c6-9c11-b0720656f69e',
  },
  aarch64: {
    root: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
    usr: 'b0e01050-ee5f-4390-949a-9101b17104e9',
  },
  riscv64: {
    root: '72ec70a6-cf74-40e6-bd49-4bda08e8f224',
    usr: 'beaec34b-8442-439b-a40b-984381ed097d',
  },
};

/** Attributes of root and /usr partitions. */
const readOnlyBit = 1n << 60n;
const noAutoBit = 1n << 63n;

/** The first root partition for this architecture, else the first /usr one, that may be found automatically. */
export function findRootPartition(
  partitions: readonly Partition[],
  architecture: string,
): RootPartition | null {
  const types = discoverable[architecture];
  if (types === undefined) return null;
  for (const kind of ['root', 'usr'] as const) {
    const found = partitions.find(
      ({ type, attributes }) => type === types[kind] && (attributes & noAutoBit) === 0n,
    );
    if (found !== undefined) {
      return { kind, uuid: found.uuid, readOnly: (found.attributes & readOnlyBit) !== 0n };
    }
  }
  return null;
}
