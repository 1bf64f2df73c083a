import { HeaderError } from './header-error.ts';
import type { OpenedFile } from './open.ts';

const regionTableOffset = 192 * 1024;
const tableBytes = 64 * 1024;
const entryBytes = 32;
const [regionHeader, metadataHeader] = [16, 32];
const entriesLimit = 2047;
/** 64 TiB, the largest disk of the format. */
const sizeLimit = 64n * 1024n ** 4n;
const hasParent = 2;

const metadataRegion = guid('8b7ca206-4790-4b9a-b8fe-575f050f886e');
const fileParameters = guid('caa16737-fa36-4d43-b3b6-33f0aa44e76b');
const virtualDiskSize = guid('2fa54224-cd1b-4876-b211-5dbed83bf4b8');

/**
 * Bytes of the disk in a VHDX. Images with a parent are refused. Throws HeaderError.
 * Source: [MS-VHDX], region table, metadata table and the items in it.
 */
export function readVhdx(file: Pick<OpenedFile, 'read' | 'size'>): number {
  if (file.read(0, 8).toString('latin1') !== 'vhdxfile') {
    throw new HeaderError('is no VHDX image: it does not begin with the magic bytes');
  }
  const regions = table(file, regionTableOffset, 'regi', regionHeader);
  const region = entry(regions, metadataRegion);
  const start = Number(region.readBigUInt64LE(16));
  if (!(start + tableBytes <= file.size)) throw damaged();
  const metadata = table(file, start, 'metadata', metadataHeader);
  const item = (id: Buffer, bytes: number): Buffer => {
    const value = file.read(start + entry(metadata, id).readUInt32LE(16), bytes);
    if (value.length < bytes) throw damaged();
    return value;
  };
  if ((item(fileParameters, 8).readUInt32LE(4) & hasParent) !== 0) {
    throw new HeaderError('is a VHDX image that is based on another one', 'Join the two first.');
  }
  const size = item(virtualDiskSize, 8).readBigUInt64LE(0);
  if (size === 0n || size > sizeLimit) {
    throw new HeaderError(`is damaged: its header says a disk of ${size} bytes`);
  }
  return Number(size);
}

/** The entries of a table; both kinds have entries that begin with a GUID and are 32 bytes long. */
function table(
  file: Pick<OpenedFile, 'read'>,
  offset: number,
  signature: string,
  headerSize: number,
): readonly Buffer[] {
  const bytes = file.read(offset, tableBytes);
  if (bytes.length < tableBytes || bytes.toString('latin1', 0, signature.length) !== signature)
    throw damaged();
  const count = headerSize === regionHeader ? bytes.readUInt32LE(8) : bytes.readUInt16LE(10);
  if (count > entriesLimit || headerSize + count * entryBytes > bytes.length) throw damaged();
  return Array.from({ length: count }, (_, index) => {
    const at = headerSize + index * entryBytes;
    return bytes.subarray(at, at + entryBytes);
  });
}

function entry(entries: readonly Buffer[], id: Buffer): Buffer {
  const found = entries.find((candidate) => candidate.subarray(0, 16).equals(id));
  if (found === undefined) throw damaged();
  return found;
}

function damaged(): HeaderError {
  return new HeaderError('is damaged: its VHDX region or metadata table cannot be read');
}

/** A GUID as Microsoft's formats have it: the first three groups little-endian. */
function guid(text: string): Buffer {
  const [a = '', b = '', c = '', ...rest] = text.split('-');
  const reversed = [a, b, c].map((group) => Buffer.from(group, 'hex').reverse());
  return Buffer.concat([...reversed, Buffer.from(rest.join(''), 'hex')]);
}
