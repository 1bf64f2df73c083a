import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

let root: string | undefined;

/**
 * The directory of this package: the nearest one above the running file whose package.json is ours. dist/, firmware/
 * and man/ lie in it, in a checkout as well as in an installed package.
 */
export function packageRoot(): string {
  if (root !== undefined) return root;
  for (let directory = __dirname; ; directory = dirname(directory)) {
    const manifest = join(directory, 'package.json');
    if (existsSync(manifest) && /"name":\s*"vmspawn"/.test(readFileSync(manifest, 'utf8'))) {
      root = directory;
      return directory;
    }
    if (directory === dirname(directory)) throw new Error(`No package.json of vmspawn above ${__dirname}`);
  }
}

/** A file of the package, e.g. `asset('dist', 'vmspawn-child')`. */
export function asset(...path: string[]): string {
  return join(packageRoot(), ...path);
}

/** The version in package.json. */
export function programVersion(): string {
  return /"version":\s*"([^"]*)"/.exec(readFileSync(asset('package.json'), 'utf8'))?.[1] ?? 'unknown';
}
