import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LockError, UsageError } from '../errors.ts';
import { type Environment, runtimeBase } from '../host/identity.ts';
import { machineLock } from '../plan/locks.ts';
import { MachineLocks } from './locks.ts';
import { openPlaces } from './places.ts';

/**
 * `--clean-up`: removes the runtime directory that a machine left whose supervisor was killed. A machine that runs holds
 * its name, and keeps its directory; that is why systemd's RuntimeDirectory= is not used, which would remove that of a
 * machine from a shell when the service of the same name cannot start. Gives the exit status.
 */
export async function cleanUp(machine: string | null, environment: Environment): Promise<number> {
  if (machine === null) throw new UsageError('--clean-up needs --machine=NAME');
  await using locks = MachineLocks.open(openPlaces(environment).locks, machine);
  try {
    locks.take(machineLock(machine));
  } catch (error) {
    if (error instanceof LockError) return 0;
    throw error;
  }
  rmSync(join(runtimeBase(process.getuid?.() ?? 0, environment), machine), { recursive: true, force: true });
  return 0;
}
