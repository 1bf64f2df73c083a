import { HeaderError } from './header-error.ts';
import type { OpenedFile } from './open.ts';

const sectorBytes = 512;
const headerBytes = 512;
/** QEMU looks for the embedded descriptor in these sectors, wherever the header says that it is. */
const qemuDescriptor = { sector: 1, sectors: 20 };
const descriptorSectorsLimit = 2048;
const compressedGrains = 1 << 16;
/** The place of the grain directory where that stands in a second header at the end of the file. */
const directoryAtEnd = 2n ** 64n - 1n;
/** The largest disk of the format is 62 TiB; this leaves room. */
const capacityLimit = 2n ** 40n;
const convert = 'Make a copy of one file with "qemu-img convert -f vmdk -O qcow2".';

/**
 * Bytes of the disk in a sparse VMDK of one file. A VMDK may be a text that names other files, or carry such a text
 * within; whatever refers to another file is refused, since QEMU would follow it. Throws HeaderError.
 * Source: VMware Virtual Disk Format 5.0; block/vmdk.c of QEMU for what it follows.
 */
export function readVmdk(file: Pick<OpenedFile, 'read' | 'size'>): number {
  const header = file.read(0, headerBytes);
  const magic = header.toString('latin1', 0, 4);
  if (header.toString('latin1').startsWith('# Disk Descriptor')) {
    throw new HeaderError('is a VMDK descriptor, which only names other files', convert);
  }
  if (magic === 'COWD') throw new HeaderError('is a VMDK of ESX servers, which is not supported', convert);
  if (magic !== 'KDMV') throw new HeaderError('is no VMDK image: it does not begin with the magic bytes');
  if (header.length < headerBytes) throw new HeaderError('is cut off: it ends within the VMDK header');
  const directory = header.readBigUInt64LE(56);
  if ((header.readUInt32LE(8) & compressedGrains) !== 0 || directory === directoryAtEnd) {
    throw new HeaderError('is a stream-optimized VMDK, which cannot be written to', convert);
  }
  const capacity = header.readBigUInt64LE(12);
  // QEMU then takes the embedded text for a list of files.
  if (capacity === 0n) throw new HeaderError('has a VMDK header that refers to other files', convert);
  if (capacity > capacityLimit) {
    throw new HeaderError(`is damaged: its header says a disk of ${capacity} sectors`);
  }
  for (const text of descriptors(header, file)) checkDescriptor(text);
  return Number(capacity) * sectorBytes;
}

function descriptors(header: Buffer, file: Pick<OpenedFile, 'read' | 'size'>): readonly string[] {
  const texts = [file.read(qemuDescriptor.sector * sectorBytes, qemuDescriptor.sectors * sectorBytes)];
  const [sector, sectors] = [header.readBigUInt64LE(28), header.readBigUInt64LE(36)];
  if (sector !== 0n) {
    if (sectors > descriptorSectorsLimit || (sector + sectors) * BigInt(sectorBytes) > BigInt(file.size)) {
      throw new HeaderError('is damaged or cut off: its descriptor lies outside of the file');
    }
    texts.push(file.read(Number(sector) * sectorBytes, Number(sectors) * sectorBytes));
  }
  return texts.map((bytes) => bytes.toString('latin1').replace(/\0.*$/s, ''));
}

function checkDescriptor(text: string): void {
  const parent = /^\s*parentCID\s*=\s*([0-9a-f]+)/im.exec(text)?.[1] ?? 'ffffffff';
  if (/parentFileNameHint/i.test(text) || !/^f{8}$/i.test(parent)) {
    throw new HeaderError('has a parent image', convert);
  }
}
