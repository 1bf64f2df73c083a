import { basename } from 'node:path';
import { printable, UsageError } from '../errors.ts';
import { imageFormats } from '../settings/defaults.ts';
import type { ImageFormat } from '../settings/settings.ts';

/** Longest machine name: HOST_NAME_MAX of Linux, as machined has it. */
export const machineNameLimit = 64;
const suffixes = ['.raw', '.img', '.image', '.disk', '.qcow2', '.qcow', '.iso', '.vmdk', '.vdi', '.vhdx'];

/** The format that was said, or else raw, except for a file name that ends in another format's name. Never from the content. */
export function imageFormatOf(path: string, said: ImageFormat | null): ImageFormat {
  return said ?? imageFormats.find((format) => path.endsWith(`.${format}`)) ?? 'raw';
}

/** Whether a machine can have this name: labels of letters, digits and inner hyphens, joined by dots, at most 64. */
export function isMachineName(name: string): boolean {
  return (
    name.length <= machineNameLimit &&
    name.split('.').every((label) => /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(label))
  );
}

/**
 * The machine name that an image file suggests: its base name without known suffixes, cleaned to the characters of a
 * host name (others are dropped: `My_Image.v1.raw` gives `MyImage.v1`). Throws UsageError when nothing is left.
 */
export function machineNameOf(path: string): string {
  let stem = basename(path);
  for (let suffix = suffixOf(stem); suffix !== undefined; suffix = suffixOf(stem)) {
    stem = stem.slice(0, -suffix.length);
  }
  const name = clean(clean(stem).slice(0, machineNameLimit));
  if (isMachineName(name)) return name;
  throw new UsageError(`${printable(path)} suggests no valid machine name`, {
    hint: 'Give one with --machine=NAME.',
  });
}

/** A name that is nothing but a suffix keeps it. */
function suffixOf(name: string): string | undefined {
  return suffixes.find((suffix) => name.length > suffix.length && name.toLowerCase().endsWith(suffix));
}

function clean(text: string): string {
  return text
    .replace(/[^a-z0-9.-]/gi, '')
    .split('.')
    .map((label) => label.replace(/^-+|-+$/g, ''))
    .filter((label) => label !== '')
    .join('.');
}
