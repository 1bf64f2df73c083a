import { accessSync, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FileError, printable, UsageError } from '../errors.ts';
import { codeOf } from '../sys/error-code.ts';
import { settingsFileLimit } from './file.ts';

export interface SettingsLookup {
  /** The user's own directories count, before those of the system. */
  readonly user: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The directories whose settings files are trusted, the first one first. For the system: what the administrator wrote,
 * what exists until the next boot, what was installed. For a user also the user's own of each kind, before them, as the
 * user manager has it (systemd.unit(5)); /run/vmspawn is closed to users.
 */
export function settingsDirectories({ user, environment }: SettingsLookup): readonly string[] {
  const installed = ['/usr/local/lib/vmspawn', '/usr/lib/vmspawn'];
  if (!user) return ['/etc/vmspawn', '/run/vmspawn', ...installed];
  const home = environment['HOME'];
  const base = (variable: string, below: string | null): string[] => {
    const said = environment[variable];
    if (said?.startsWith('/')) return [join(said, 'vmspawn')];
    return below === null || !home?.startsWith('/') ? [] : [join(home, below, 'vmspawn')];
  };
  return [
    ...base('XDG_CONFIG_HOME', '.config'),
    '/etc/vmspawn',
    ...base('XDG_RUNTIME_DIR', null),
    ...base('XDG_DATA_HOME', '.local/share'),
    ...installed,
  ];
}

export interface SettingsFile {
  readonly path: string;
  readonly content: Buffer;
}

/** Whether files in a directory can be reached. */
function isSearchable(directory: string): boolean {
  try {
    accessSync(directory, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first NAME.vmspawn in `directories`, or null. Throws as {@link readSettings}. */
export function findSettings(name: string, directories: readonly string[]): SettingsFile | null {
  for (const directory of directories) {
    const found = readSettings(join(directory, `${name}.vmspawn`));
    if (found !== null) return found;
  }
  return null;
}

/**
 * A settings file, or null where there is none; a directory is none (the runtime directory of a machine may have such a
 * name), and so is what lies in a directory that is closed to us. A link to /dev/null is an empty file, which hides those in later directories. Throws FileError when it cannot
 * be read, UsageError when it is something else than a file or too large.
 */
export function readSettings(path: string): SettingsFile | null {
  let fd: number;
  try {
    // Without blocking: it may be a FIFO.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === 'EACCES' && !isSearchable(dirname(path))) return null;
    throw unreadable(path, error);
  }
  try {
    const status = fstatSync(fd);
    if (status.isDirectory()) return null;
    if (!status.isFile()) {
      // /dev/null (devices.txt of the kernel: major 1, minor 3).
      if (status.isCharacterDevice() && status.rdev === 0x103) return { path, content: Buffer.alloc(0) };
      throw new UsageError(`The settings file ${printable(path)} is no regular file`);
    }
    return { path, content: readUpTo(fd, settingsFileLimit + 1) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw unreadable(path, error);
  } finally {
    closeSync(fd);
  }
}

function readUpTo(fd: number, limit: number): Buffer {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.min(16 * 1024, limit - length));
    const count = chunk.length === 0 ? 0 : readSync(fd, chunk, 0, chunk.length, null);
    if (count === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
}

function unreadable(path: string, cause: unknown): FileError {
  return new FileError(`The settings file ${printable(path)} cannot be read`, {
    cause,
    hint: 'With --settings=no none is read.',
  });
}
