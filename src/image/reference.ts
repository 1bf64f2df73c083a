import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { ImageError, printable } from '../errors.ts';
import { codeOf } from '../sys/error-code.ts';

/**
 * Resolves the name that an image gives of its backing or data file; relative names start at the image's directory.
 * An image is as little to be trusted as its maker: a name that leads out of that directory (links followed), or that
 * is no file name, is refused, else a downloaded image could show any file of the host to its guest.
 * Returns the real, absolute path. Throws ImageError.
 */
export function resolveReference(image: string, name: string, what: 'backing file' | 'data file'): string {
  const subject = `The image ${printable(image)}`;
  const rebase =
    what === 'backing file'
      ? `Place it beside the image and name it with "qemu-img rebase -u -b FILE -F FORMAT ${shellWord(image)}".`
      : 'Place it beside the image and make the image anew with "qemu-img convert".';
  // As QEMU has it: a colon before the first slash makes a protocol (nbd:, json:, https:).
  if (/^[^/]*:/.test(name)) {
    throw new ImageError(
      `${subject} names the ${what} ${shown(name)}, which is no file but a protocol of QEMU`,
      { hint: `Only files can be used. ${rebase}` },
    );
  }
  const directory = dirname(image);
  const wanted = name.startsWith('/') ? name : `${directory}/${name}`;
  let real: string;
  try {
    real = realpathSync.native(wanted);
  } catch (cause) {
    const code = codeOf(cause);
    const missing = code === 'ENOENT' || code === 'ENOTDIR';
    throw new ImageError(
      `${subject} names the ${what} ${shown(name)}, which ${missing ? 'does not exist' : 'cannot be looked up'}`,
      missing ? { hint: rebase } : { cause },
    );
  }
  // The user names the image, so both the directory of a link to it and that of the file itself are the user's choice.
  const allowed = [realpathSync.native(directory), dirname(realpathSync(image))];
  if (allowed.includes(dirname(real))) return real;
  const resolved = real === name ? '' : ` (${printable(real)})`;
  throw new ImageError(
    `${subject} names the ${what} ${shown(name)}${resolved}, which lies outside the image's own directory`,
    { hint: rebase },
  );
}

/** A name from an image for a message: long ones are cut. */
function shown(name: string): string {
  return printable(name.length > 200 ? `${name.slice(0, 200)}...` : name);
}

/** A word that can be pasted into a shell. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${printable(word).replaceAll("'", "'\\''")}'`;
}
