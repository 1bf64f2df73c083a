/** As much of a kernel as `looksLikeKernel` wants to see: where QEMU looks for a Multiboot header, the furthest of all. */
export const kernelMagicBytes = 8192;

interface Magic {
  readonly at: number;
  readonly bytes: string;
}

const elf: Magic = { at: 0, bytes: '\x7fELF' };

/** What QEMU can start by itself, each line a kind of file with all that must be there. */
const kinds: { readonly [architecture: string]: readonly (readonly Magic[])[] } = {
  x86_64: [
    // bzImage (Documentation/arch/x86/boot.rst of the kernel): the boot sector's signature, the header's magic.
    [
      { at: 0x1fe, bytes: '\x55\xaa' },
      { at: 0x202, bytes: 'HdrS' },
    ],
    [elf],
  ],
  aarch64: [
    // Image (Documentation/arch/arm64/booting.rst).
    [{ at: 56, bytes: 'ARM\x64' }],
    // Image.gz, which QEMU unpacks here.
    [{ at: 0, bytes: '\x1f\x8b\x08' }],
    // U-Boot's image.
    [{ at: 0, bytes: '\x27\x05\x19\x56' }],
    [elf],
  ],
};

/**
 * Whether QEMU finds a kernel in a file that begins with `start` (kernelMagicBytes of it, or all), PE files aside. With anything
 * else it starts, and the guest shows nothing. True for an architecture that is not known here. Pure.
 */
export function looksLikeKernel(start: Buffer, architecture: string): boolean {
  const known = kinds[architecture];
  if (known === undefined) return true;
  const has = ({ at, bytes }: Magic) => start.toString('latin1', at, at + bytes.length) === bytes;
  return known.some((magics) => magics.every(has)) || (architecture === 'x86_64' && hasMultiboot(start));
}

/** Multiboot 0.6.96, 3.1.1: the magic number at a multiple of 4, with its flags and a checksum that makes the sum 0. */
function hasMultiboot(start: Buffer): boolean {
  for (let at = 0; at + 12 <= start.length; at += 4) {
    if (start.readUInt32LE(at) !== 0x1badb002) continue;
    if ((0x1badb002 + start.readUInt32LE(at + 4) + start.readUInt32LE(at + 8)) % 2 ** 32 === 0) return true;
  }
  return false;
}
