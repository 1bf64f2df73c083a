import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ImageError, printable, UsageError } from '../errors.ts';
import type { ImageFormat } from '../settings/settings.ts';
import { codeOf } from '../sys/error-code.ts';
import { imageFormatOf, isMachineName } from './name.ts';

export interface ImageLookup {
  /** Look into the user's directory first. */
  readonly user: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string | null;
  /** In place of the usual ones; for tests. */
  readonly directories?: readonly string[];
}

/** The directories in which images are looked for by name, as systemd's tools have them, the first one first. */
export function imageDirectories({ user, environment, home }: ImageLookup): readonly string[] {
  const system = ['/etc', '/run', '/var/lib', '/usr/local/lib', '/usr/lib'].map((base) =>
    join(base, 'machines'),
  );
  if (!user) return system;
  const said = environment['XDG_STATE_HOME'];
  const state = said?.startsWith('/') ? said : home === null ? null : join(home, '.local/state');
  return state === null ? system : [join(state, 'machines'), ...system];
}

/**
 * The image or tree of a machine that was named without one (`-M NAME`): NAME.raw, NAME.qcow2 or NAME in the first
 * directory that has one of them. `format` is null for a directory tree. Throws UsageError for a name that cannot be one,
 * ImageError when there is nothing.
 */
export async function locateImage(
  name: string,
  lookup: ImageLookup,
): Promise<{ path: string; format: ImageFormat | null }> {
  if (!isMachineName(name)) {
    throw new UsageError(`--machine=${printable(name)} is no valid machine name`, {
      hint: 'Use letters, digits, hyphens and dots, at most 64 of them, beginning and ending with a letter or digit.',
    });
  }
  const directories = lookup.directories ?? imageDirectories(lookup);
  const closed: string[] = [];
  for (const directory of directories) {
    for (const file of [`${name}.raw`, `${name}.qcow2`, name]) {
      const path = join(directory, file);
      try {
        const status = statSync(path);
        if (status.isFile() || status.isBlockDevice()) return { path, format: imageFormatOf(path, null) };
        if (status.isDirectory() && file === name) return { path, format: null };
        throw new ImageError(`${printable(path)} is neither a regular file nor a block device`);
      } catch (error) {
        const code = codeOf(error);
        if (code === 'EACCES') {
          closed.push(directory);
          break;
        }
        if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
      }
    }
  }
  const unread =
    closed.length === 0
      ? ''
      : `; this user may not look into ${closed.map((path) => printable(path)).join(', ')}`;
  throw new ImageError(
    `There is no image ${name}.raw, ${name}.qcow2 or ${name} in ${directories.map((path) => printable(path)).join(', ')}${unread}`,
    { hint: 'Name the image with --image=FILE.' },
  );
}
