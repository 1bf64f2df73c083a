import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { FileError } from '../errors.ts';
import { codeOf } from '../sys/error-code.ts';
import type { LoadedCredential } from './facts.ts';
import type { Environment } from './identity.ts';

/** Where systemd keeps credentials for whoever asks for one by name (systemd.exec(5), LoadCredential=). */
const stores = ['/etc/credstore', '/run/credstore', '/usr/lib/credstore'];

interface Wanted {
  readonly name: string;
  readonly source:
    | { readonly kind: 'secret' }
    /** An absolute path, or a bare name. */
    | { readonly kind: 'load'; readonly path: string };
}

/**
 * Where the credentials are that are to be loaded: a bare name is looked for among those that our own service manager
 * gave us, then in the stores. Reads none. Throws FileError for one that is not there, or neither file nor socket.
 */
export function findCredentials(
  wanted: readonly Wanted[],
  environment: Environment,
  storeDirectories: readonly string[] = stores,
): LoadedCredential[] {
  return wanted.flatMap(({ name, source }) =>
    source.kind === 'load' ? [find(name, source.path, environment, storeDirectories)] : [],
  );
}

function find(
  name: string,
  wanted: string,
  environment: Environment,
  storeDirectories: readonly string[],
): LoadedCredential {
  const own = environment['CREDENTIALS_DIRECTORY'] ?? '';
  const directories = [...(isAbsolute(own) ? [own] : []), ...storeDirectories];
  const option = `--load-credential=${name}:${wanted}`;
  const path = wanted.includes('/')
    ? wanted
    : directories.map((directory) => join(directory, wanted)).find(exists);
  if (path === undefined) {
    throw new FileError(`${option} names no credential of this host`, {
      hint: `Looked in ${directories.join(', ')}; a file is told by a slash in its path.`,
    });
  }
  try {
    const found = statSync(path);
    if (found.isSocket()) return { name, kind: 'socket', path, size: null };
    if (found.isFile()) {
      accessSync(path, constants.R_OK);
      return { name, kind: 'file', path, size: found.size };
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new FileError(`${option} does not exist`);
    throw new FileError(`${option} cannot be read`, { cause: error });
  }
  throw new FileError(`${option} is neither a file nor a socket`);
}

/** Systemd's stores are closed to ordinary users. */
function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
