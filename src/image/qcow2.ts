import { HeaderError } from './header-error.ts';

/** What of a qcow2 header decides how the image is opened. Source: docs/interop/qcow2.txt of QEMU. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterSize: number;
  /** Bytes that the guest sees. */
  readonly virtualSize: number;
  /** The name as it is written; null without a backing file. `format` null: the header does not say. */
  readonly backing: { readonly name: string; readonly format: string | null } | null;
  /** Name of the external data file as it is written, or null. */
  readonly dataFile: string | null;
}

export class Qcow2Error extends HeaderError {}

/** As much of the file as parseQcow2 wants to see: header, extensions and names lie in the first cluster. */
export const qcow2HeaderBytes = 65536;

const magic = 0x514649fb;
const headerBytes = { 2: 72, 3: 104 } as const;
const backingNameLimit = 1023;
const extensions = { end: 0, backingFormat: 0xe2792aca, dataFile: 0x44415441 };
const incompatible = { dirty: 1n, corrupt: 2n, dataFile: 4n, compression: 8n, extendedL2: 16n };
const knownIncompatible = 31n;
/** QEMU's own limits: 32 MiB for the first level table, 8 MiB for the refcount table, 65536 snapshots. */
const l1EntriesLimit = 4 * 1024 * 1024;
const refcountTableLimit = 8 * 1024 * 1024;
const snapshotsLimit = 65536;

export function isQcow2(start: Buffer): boolean {
  return start.length >= 4 && start.readUInt32BE(0) === magic;
}

/**
 * Reads the header of a qcow2 image from its first bytes (qcow2HeaderBytes or the whole file) and the size of the
 * file. Every number is checked against the file's size and QEMU's limits. Pure. Throws Qcow2Error.
 */
export function parseQcow2(start: Buffer, fileSize: number): Qcow2Header {
  if (!isQcow2(start)) throw new Qcow2Error('is no qcow2 image: it does not begin with the magic bytes');
  if (start.length < headerBytes[2]) throw truncated();
  const version = start.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw new Qcow2Error(`is qcow2 of the unknown version ${version}`);
  if (start.length < headerBytes[version]) throw truncated();

  const clusterBits = start.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) {
    throw new Qcow2Error(`is damaged: its header says clusters of 2^${clusterBits} bytes`);
  }
  const clusterSize = 2 ** clusterBits;
  const headerLength = version === 2 ? headerBytes[2] : start.readUInt32BE(100);
  if (headerLength < headerBytes[version] || headerLength > clusterSize || headerLength % 8 !== 0) {
    throw new Qcow2Error(`is damaged: its header says to be ${headerLength} bytes long`);
  }
  const features = version === 2 ? 0n : start.readBigUInt64BE(72);
  checkFeatures(features);
  if (start.readUInt32BE(32) !== 0) {
    throw new Qcow2Error(
      'is encrypted, which is not supported',
      'Make a copy without encryption with "qemu-img convert".',
    );
  }
  const virtualSize = start.readBigUInt64BE(24);
  if (virtualSize === 0n) throw new Qcow2Error('is a disk of 0 bytes');
  if (virtualSize > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new Qcow2Error(`is damaged: its header says a disk of ${virtualSize} bytes`);
  }
  checkTables(
    start,
    version,
    fileSize,
    clusterSize,
    Number(virtualSize),
    (features & incompatible.extendedL2) !== 0n,
  );

  const headerEnd = Math.min(start.length, clusterSize, fileSize);
  const nameOffset = start.readBigUInt64BE(8);
  const nameLength = start.readUInt32BE(16);
  const found = readExtensions(
    start,
    headerLength,
    nameOffset === 0n ? headerEnd : Math.min(headerEnd, Number(nameOffset)),
  );
  const wantsDataFile = (features & incompatible.dataFile) !== 0n;
  if (wantsDataFile && found.dataFile === null) {
    throw new Qcow2Error('keeps its data in another file, but does not say in which');
  }
  return {
    version,
    clusterSize,
    virtualSize: Number(virtualSize),
    backing:
      nameOffset === 0n || nameLength === 0
        ? null
        : {
            name: backingName(start, headerLength, headerEnd, nameOffset, nameLength),
            format: found.backingFormat,
          },
    dataFile: wantsDataFile ? found.dataFile : null,
  };
}

function checkFeatures(features: bigint): void {
  const unknown = features & ~knownIncompatible;
  if (unknown !== 0n) {
    throw new Qcow2Error(`needs features that are not known here (0x${unknown.toString(16)})`);
  }
  if ((features & incompatible.corrupt) !== 0n) {
    throw new Qcow2Error(
      'is marked as corrupt',
      'Mend it with "qemu-img check -r all", after making a copy.',
    );
  }
}

function checkTables(
  start: Buffer,
  version: 2 | 3,
  fileSize: number,
  clusterSize: number,
  virtualSize: number,
  extendedL2: boolean,
): void {
  // QEMU takes what lies behind the end of the file for zeroes, up to the end of the last cluster.
  const end = Math.ceil(fileSize / clusterSize) * clusterSize;
  const inside = (what: string, offset: bigint, bytes: number) => {
    if (offset % BigInt(clusterSize) !== 0n || offset + BigInt(bytes) > BigInt(end)) {
      throw new Qcow2Error(
        `is damaged or cut off: its ${what} lies at ${offset} in a file of ${fileSize} bytes`,
      );
    }
  };
  const l1Entries = start.readUInt32BE(36);
  const bytesPerL1Entry = clusterSize * (clusterSize / (extendedL2 ? 16 : 8));
  if (l1Entries > l1EntriesLimit || l1Entries < Math.ceil(virtualSize / bytesPerL1Entry)) {
    throw new Qcow2Error(
      `is damaged: its header says ${l1Entries} entries for a disk of ${virtualSize} bytes`,
    );
  }
  inside('first level table', start.readBigUInt64BE(40), l1Entries * 8);
  const refcountBytes = start.readUInt32BE(56) * clusterSize;
  if (refcountBytes === 0 || refcountBytes > refcountTableLimit) {
    throw new Qcow2Error(`is damaged: its header says a refcount table of ${refcountBytes} bytes`);
  }
  inside('refcount table', start.readBigUInt64BE(48), refcountBytes);
  const snapshots = start.readUInt32BE(60);
  if (snapshots > snapshotsLimit) throw new Qcow2Error(`is damaged: its header says ${snapshots} snapshots`);
  if (snapshots > 0) inside('snapshot table', start.readBigUInt64BE(64), snapshots * 40);
  if (version === 3 && start.readUInt32BE(96) > 6) {
    throw new Qcow2Error('is damaged: its header says refcounts of more than 64 bits');
  }
}

/** Walks the header extensions: type, length, data padded to 8 bytes, up to the type 0 or the backing file's name. */
function readExtensions(
  start: Buffer,
  from: number,
  end: number,
): { backingFormat: string | null; dataFile: string | null } {
  let backingFormat: string | null = null;
  let dataFile: string | null = null;
  for (let at = from; at + 8 <= end; ) {
    const type = start.readUInt32BE(at);
    const length = start.readUInt32BE(at + 4);
    if (type === extensions.end) break;
    const data = at + 8;
    if (length > end - data) throw new Qcow2Error('is damaged: a header extension is longer than the header');
    if (type === extensions.backingFormat)
      backingFormat = text(start.subarray(data, data + length), 'backing format');
    if (type === extensions.dataFile) dataFile = text(start.subarray(data, data + length), 'data file name');
    at = data + Math.ceil(length / 8) * 8;
  }
  return { backingFormat, dataFile };
}

function backingName(start: Buffer, from: number, end: number, offset: bigint, length: number): string {
  if (length > backingNameLimit || offset < BigInt(from) || offset + BigInt(length) > BigInt(end)) {
    throw new Qcow2Error(`is damaged: its backing file's name is said to be ${length} bytes at ${offset}`);
  }
  return text(start.subarray(Number(offset), Number(offset) + length), 'backing file name');
}

/** Names are bytes without an end; what is no UTF-8 or holds a NUL names no file that we could open by a string. */
function text(bytes: Buffer, what: string): string {
  let value: string;
  try {
    value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Qcow2Error(`has a ${what} that is not valid UTF-8`);
  }
  if (value === '' || value.includes('\0'))
    throw new Qcow2Error(`has a ${what} that is empty or contains a NUL`);
  return value;
}

function truncated(): Qcow2Error {
  return new Qcow2Error('is cut off: it ends within the qcow2 header');
}
