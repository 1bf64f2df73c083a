import { join } from 'node:path';
import { FileFactCache } from '../host/cache.ts';
import { type Environment, runtimeBase } from '../host/identity.ts';
import { ensurePrivateDirectory } from './runtime-directory.ts';

/** The directories that all machines of a user share. */
export interface Places {
  readonly locks: string;
  readonly cache: FileFactCache;
}

/** Makes the shared runtime directory where it is missing. Throws FileError when others could write to it. */
export function openPlaces(environment: Environment): Places {
  const base = runtimeBase(process.getuid?.() ?? 0, environment);
  ensurePrivateDirectory(base);
  const cache = join(base, '.cache');
  ensurePrivateDirectory(cache);
  return { locks: join(base, '.lock'), cache: new FileFactCache(cache) };
}
