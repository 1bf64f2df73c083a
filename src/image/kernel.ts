import { ImageError, printable } from '../errors.ts';
import type { KernelFacts } from './facts.ts';
import { type OpenedFile, openFile } from './open.ts';

const dosHeaderBytes = 64;
/** Signature and COFF header. */
const peHeaderBytes = 24;
const sectionBytes = 40;
/** A unified kernel image with many profiles has some hundred sections; the field has 16 bits. */
const sectionLimit = 2048;

/**
 * What a kernel file (absolute path) is, by its headers alone: `uki` is a PE file with a section `.linux`, `pe` any
 * other PE file (a kernel with an EFI stub), `other` everything else. Throws ImageError for a file that cannot be
 * read, and for a PE file that is cut off.
 * Source: PE format specification; UAPI.5 Unified Kernel Image.
 */
export async function inspectKernel(path: string): Promise<KernelFacts> {
  const file = openFile(path, 'The kernel');
  try {
    return { path, type: kernelType(file, path), size: file.size };
  } finally {
    file[Symbol.dispose]();
  }
}

/** An initrd (absolute path) with its size; the content may be anything that the kernel unpacks. Throws ImageError. */
export async function inspectInitrd(path: string): Promise<{ path: string; size: number }> {
  const file = openFile(path, 'The initrd');
  file[Symbol.dispose]();
  return { path, size: file.size };
}

function kernelType(file: OpenedFile, path: string): KernelFacts['type'] {
  const offset = peOffset(file.read(0, dosHeaderBytes));
  if (offset === null) return 'other';
  const table = sectionTable(file.read(offset, peHeaderBytes), offset);
  if (table === null) return 'other';
  if (table.count > sectionLimit) {
    throw new ImageError(`The kernel ${printable(path)} is damaged: its header says ${table.count} sections`);
  }
  const bytes = file.read(table.offset, table.count * sectionBytes);
  if (bytes.length < table.count * sectionBytes) {
    throw new ImageError(`The kernel ${printable(path)} is cut off: it ends within its section table`);
  }
  const linux = peSections(bytes).find(({ name }) => name === '.linux');
  if (linux === undefined) return 'pe';
  if (linux.offset + linux.size > file.size) {
    throw new ImageError(
      `The unified kernel image ${printable(path)} is cut off: its kernel ends at byte ${linux.offset + linux.size}, the file at ${file.size}`,
    );
  }
  return 'uki';
}

/** Where a DOS header says that the PE header is, or null when there is none. Pure. */
export function peOffset(start: Buffer): number | null {
  if (start.length < dosHeaderBytes || start.toString('latin1', 0, 2) !== 'MZ') return null;
  return start.readUInt32LE(60);
}

/** Place and length of the section table from the PE header that was read at `offset`; null when it is none. Pure. */
export function sectionTable(header: Buffer, offset: number): { offset: number; count: number } | null {
  if (header.length < peHeaderBytes || header.toString('latin1', 0, 4) !== 'PE\0\0') return null;
  return { offset: offset + peHeaderBytes + header.readUInt16LE(20), count: header.readUInt16LE(6) };
}

/** The sections of a table: name, place and length of what the file holds of each. Pure. */
export function peSections(table: Buffer): { name: string; offset: number; size: number }[] {
  const sections: { name: string; offset: number; size: number }[] = [];
  for (let at = 0; at + sectionBytes <= table.length; at += sectionBytes) {
    sections.push({
      name: table.toString('latin1', at, at + 8).replace(/\0.*$/s, ''),
      size: table.readUInt32LE(at + 16),
      offset: table.readUInt32LE(at + 20),
    });
  }
  return sections;
}
