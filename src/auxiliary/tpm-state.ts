import { execFile } from 'node:child_process';
import type { Stats } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AuxiliaryError, FileError, InterruptedError } from '../errors.ts';
import type { PlannedTpmState } from '../plan/plan.ts';

/** Says that swtpm_setup went through; the name is the one that systemd-vmspawn looks for, so that state can move. */
const manufacturedMarker = '.manufactured';

/** Manufacturing makes two keys and takes 0.3 to 0.6 s; on a loaded machine many times that. */
const setupTimeout = 60_000;

/**
 * Makes the TPM's state directory ready. Persistent state is manufactured once (swtpm_setup(8): endorsement keys, SHA-256
 * PCR banks only, since firmware measures into every active bank) in a directory beside the final one that takes its name when all is done; transient
 * state is an empty directory, in which swtpm makes its own state on first use without any key generation.
 * Throws FileError when the place cannot be used, AuxiliaryError with swtpm_setup's words when that fails.
 */
export async function prepareTpmState(state: PlannedTpmState, signal: AbortSignal): Promise<void> {
  if (!state.persistent) {
    await makeDirectory(state.directory);
    return;
  }
  if ((await stateDirectory(state.directory)) === 'used') return;
  // The caller holds the state's lock, so that what lies here is the rest of a start that was killed.
  const temporary = `${state.directory}.new`;
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { mode: 0o700 });
  } catch (error) {
    throw new FileError(`TPM state ${state.directory} cannot be made`, {
      cause: error,
      hint: `Make ${dirname(state.directory)} writable, or use --tpm-state=off or --tpm-state=PATH.`,
    });
  }
  try {
    if (state.setup !== null) await manufacture(state.setup, temporary, signal);
    await rename(temporary, state.directory);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (error instanceof Error && 'code' in error && !('hint' in error)) {
      throw new FileError(`TPM state ${state.directory} cannot be made`, { cause: error });
    }
    throw error;
  }
}

/** What is at the place of persistent state. Throws for what is no directory of ours or root's. */
async function stateDirectory(path: string): Promise<'missing' | 'empty' | 'used'> {
  let found: Stats;
  try {
    found = await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing';
    throw new FileError(`TPM state ${path} cannot be used`, { cause: error });
  }
  if (!found.isDirectory()) {
    throw new FileError(`TPM state ${path} is not a directory`, {
      hint: 'Remove it, or name another place with --tpm-state=PATH.',
    });
  }
  const uid = process.getuid?.() ?? 0;
  if (found.uid !== uid && found.uid !== 0) {
    throw new FileError(`TPM state ${path} belongs to user ${found.uid}, not to us`);
  }
  return (await readdir(path)).length === 0 ? 'empty' : 'used';
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    throw new FileError(`TPM state ${path} cannot be made`, { cause: error });
  }
}

async function manufacture(setup: string, directory: string, signal: AbortSignal): Promise<void> {
  const words = [
    '--tpm2',
    '--tpm-state',
    directory,
    '--pcr-banks',
    'sha256',
    '--ecc',
    '--createek',
    '--not-overwrite',
  ];
  await new Promise<void>((resolve, reject) => {
    execFile(
      setup,
      words,
      { timeout: setupTimeout, signal, maxBuffer: 256 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) return resolve();
        if (signal.aborted)
          return reject(new InterruptedError('The start was given up', { cause: signal.reason }));
        const last = `${stdout}\n${stderr}`.trim().split('\n').slice(-3).join('; ');
        reject(
          new AuxiliaryError(`${setup} could not make TPM state in ${directory}: ${last || error.message}`),
        );
      },
    );
  });
  await writeFile(`${directory}/${manufacturedMarker}`, '', { mode: 0o600 });
}
