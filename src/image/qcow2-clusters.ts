import { constants, inflateRawSync } from 'node:zlib';
import { Qcow2Error } from './qcow2.ts';

/** Something that bytes can be read from at an offset; gives fewer where it ends. */
export type ReadAt = (offset: number, length: number) => Buffer;

/** Where the guest's bytes are: host bytes, zeroes, or whatever the layer below has. */
export type Piece =
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'zero' | 'below'; readonly length: number };

/** Bits 9 to 55 of a table's entry. */
const offsetMask = 0x00ff_ffff_ffff_fe00n;
const compressed = 1n << 62n;
const allZero = 1n;
const subclusters = 32;
const zlibType = 0;

interface Layout {
  readonly version: number;
  readonly clusterBits: number;
  readonly clusterSize: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly extended: boolean;
  readonly compression: number;
}

/** `header` has been checked by parseQcow2 before. */
function layoutOf(header: Buffer): Layout {
  const version = header.readUInt32BE(4);
  const clusterBits = header.readUInt32BE(20);
  const features = version === 2 ? 0n : header.readBigUInt64BE(72);
  const length = version === 2 ? 72 : header.readUInt32BE(100);
  return {
    version,
    clusterBits,
    clusterSize: 2 ** clusterBits,
    l1Offset: Number(header.readBigUInt64BE(40)),
    l1Entries: header.readUInt32BE(36),
    extended: (features & 16n) !== 0n,
    compression: length > 104 ? header.readUInt8(104) : zlibType,
  };
}

/**
 * The guest's bytes from `offset` on, up to `length` of them and to the end of their cluster (or subcluster). `header`
 * are the first bytes of the image, checked by parseQcow2. Source: docs/interop/qcow2.txt of QEMU. Throws Qcow2Error for a
 * damaged table and for clusters compressed by another method than zlib.
 */
export function readCluster(file: ReadAt, header: Buffer, offset: number, length: number): Piece {
  const layout = layoutOf(header);
  const { clusterSize, extended } = layout;
  const within = offset % clusterSize;
  const rest = Math.min(length, clusterSize - within);
  const entryBytes = extended ? 16 : 8;
  const perTable = clusterSize / entryBytes;
  const cluster = Math.floor(offset / clusterSize);
  const l1Index = Math.floor(cluster / perTable);
  if (l1Index >= layout.l1Entries) throw damaged();
  const l1 = exactly(file, layout.l1Offset + l1Index * 8, 8).readBigUInt64BE(0) & offsetMask;
  if (l1 === 0n) return { kind: 'below', length: rest };
  const entry = exactly(file, Number(l1) + (cluster % perTable) * entryBytes, entryBytes);
  const word = entry.readBigUInt64BE(0);
  if ((word & compressed) !== 0n) {
    const bytes = inflate(file, layout, word);
    return { kind: 'data', bytes: bytes.subarray(within, within + rest) };
  }
  const host = Number(word & offsetMask);
  if (extended) return subclusterAt(file, layout, entry.readBigUInt64BE(8), host, within, rest);
  if (layout.version > 2 && (word & allZero) !== 0n) return { kind: 'zero', length: rest };
  if (host === 0) return { kind: 'below', length: rest };
  return { kind: 'data', bytes: padded(file(host + within, rest), rest) };
}

/** The low half of the bitmap says which of the 32 parts are allocated, the high half which are all zero. */
function subclusterAt(
  file: ReadAt,
  { clusterSize }: Layout,
  bitmap: bigint,
  host: number,
  within: number,
  rest: number,
): Piece {
  const size = clusterSize / subclusters;
  const index = BigInt(Math.floor(within / size));
  const length = Math.min(rest, size - (within % size));
  if (((bitmap >> (index + 32n)) & 1n) === 1n) return { kind: 'zero', length };
  if (((bitmap >> index) & 1n) === 0n) return { kind: 'below', length };
  return { kind: 'data', bytes: padded(file(host + within, length), length) };
}

function inflate(file: ReadAt, { clusterBits, clusterSize, compression }: Layout, word: bigint): Buffer {
  if (compression !== zlibType) throw new Qcow2Error('is compressed by another method than zlib');
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const offset = Number(word & ((1n << offsetBits) - 1n));
  const sectors = Number((word & (compressed - 1n)) >> offsetBits);
  const packed = file(offset, (sectors + 1) * 512 - (offset % 512));
  try {
    // What follows in the last sector belongs to another cluster.
    const bytes = inflateRawSync(packed, {
      maxOutputLength: clusterSize,
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    return padded(bytes, clusterSize);
  } catch (cause) {
    throw new Qcow2Error(`has a cluster that cannot be unpacked (${(cause as Error).message})`);
  }
}

/** QEMU takes what lies behind the end of the file for zeroes. */
function padded(bytes: Buffer, length: number): Buffer {
  return bytes.length === length ? bytes : Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
}

function exactly(file: ReadAt, offset: number, length: number): Buffer {
  const bytes = file(offset, length);
  if (bytes.length !== length) throw damaged();
  return bytes;
}

function damaged(): Qcow2Error {
  return new Qcow2Error('is damaged: a table lies outside of the file');
}
