import { ImageError } from '../errors.ts';
import type { KernelFacts } from './facts.ts';
import { kernelMagicBytes, looksLikeKernel } from './kernel-magic.ts';
import { magicBytes, recognizeRaw } from './magic.ts';
import { type OpenedFile, openFile, subjectOf } from './open.ts';

const dosHeaderBytes = 64;
/** Signature and COFF header. */
const peHeaderBytes = 24;
const sectionBytes = 40;
/** A unified kernel image with many profiles has some hundred sections; the field has 16 bits. */
const sectionLimit = 2048;

/**
 * What a kernel file (absolute path) is, by its headers alone: `uki` is a PE file with a section `.linux`, `pe` any
 * other PE file (a kernel with an EFI stub), `other` everything else that QEMU can start on `architecture`. `what` begins the
 * sentences ("The kernel", "--linux="). Throws ImageError for a file that cannot be read, for one that is no kernel, and
 * for a PE file that is cut off.
 * Source: PE format specification; UAPI.5 Unified Kernel Image.
 */
export async function inspectKernel(path: string, architecture: string, what: string): Promise<KernelFacts> {
  const file = openFile(path, what);
  try {
    return { path, type: kernelType(file, subjectOf(what, path), architecture), size: file.size };
  } finally {
    file[Symbol.dispose]();
  }
}

/**
 * An initrd (absolute path) with its size; the content may be anything that the kernel unpacks. `what` begins the sentences.
 * Throws ImageError.
 */
export async function inspectInitrd(path: string, what: string): Promise<{ path: string; size: number }> {
  const file = openFile(path, what);
  file[Symbol.dispose]();
  return { path, size: file.size };
}

function kernelType(file: OpenedFile, subject: string, architecture: string): KernelFacts['type'] {
  const start = file.read(0, kernelMagicBytes);
  const offset = peOffset(start);
  const table = offset === null ? null : sectionTable(file.read(offset, peHeaderBytes), offset);
  if (table === null) {
    if (looksLikeKernel(start, architecture)) return 'other';
    throw noKernel(start, subject, architecture);
  }
  if (table.count > sectionLimit) {
    throw new ImageError(`${subject} is damaged: its header says ${table.count} sections`);
  }
  const bytes = file.read(table.offset, table.count * sectionBytes);
  if (bytes.length < table.count * sectionBytes) {
    throw new ImageError(`${subject} is cut off: it ends within its section table`);
  }
  const linux = peSections(bytes).find(({ name }) => name === '.linux');
  if (linux === undefined) return 'pe';
  if (linux.offset + linux.size > file.size) {
    throw new ImageError(
      `${subject} is a unified kernel image that is cut off: its kernel ends at byte ${linux.offset + linux.size}, the file at ${file.size}`,
    );
  }
  return 'uki';
}

function noKernel(start: Buffer, subject: string, architecture: string): ImageError {
  const found = recognizeRaw(start.subarray(0, magicBytes));
  if (found.kind === 'compressed') {
    return new ImageError(`${subject} is compressed with ${found.name}, which QEMU does not unpack here`, {
      hint: `Unpack it first (${found.program}).`,
    });
  }
  return new ImageError(`${subject} is no kernel that QEMU can start on ${architecture}`, {
    hint:
      found.kind === 'disk'
        ? 'Give the file that is called vmlinuz or bzImage, or a unified kernel image; a disk image is for --image=.'
        : 'A disk image is for --image=.',
  });
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
