import type { Stats } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { exitInWords, startEarlyChild } from '../child/early-child.ts';
import { AuxiliaryError, FileError, InterruptedError } from '../errors.ts';
import { programEnvironment } from '../host/identity.ts';
import { type Owner, unsafePlace, unsafeState } from '../host/state-place.ts';
import type { PlannedTpmState } from '../plan/plan.ts';
import { codeOf } from '../sys/error-code.ts';
import { swtpmSetupWords, unfinishedState } from './swtpm-setup.ts';

/** Says that swtpm_setup went through; the name is the one that systemd-vmspawn looks for, so that state can move. */
const manufacturedMarker = '.manufactured';

/** What swtpm names its files, in any of its versions, and the marker. */
const ofTpm = /^(?:tpm2?-00\.|TMP2-00\.|\.lock$|\.manufactured$)/;

/** Bytes that state and what swtpm_setup writes meanwhile fit into. */
const leastSpace = 64 * 1024;

/** Manufacturing makes two keys and takes 0.3 to 0.6 s; on a loaded machine many times that. */
const setupTimeout = 60_000;

/**
 * Makes the TPM's state directory ready. Persistent state is manufactured once, in a directory beside the final
 * one that takes its name when all is done; transient state is an empty directory, in which swtpm makes its own state on
 * first use without any key generation.
 * Throws FileError when the place cannot be used, AuxiliaryError with swtpm_setup's words when that fails.
 */
export async function prepareTpmState(state: PlannedTpmState, signal: AbortSignal): Promise<void> {
  if (!state.persistent) {
    await makeDirectory(state.directory);
    return;
  }
  if ((await checkTpmState(state)) === 'used') return;
  // The caller holds the state's lock, so that what lies here is the rest of a start that was killed.
  const temporary = unfinishedState(state.directory);
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
    if (state.setup !== null) {
      await manufacture({ setup: state.setup, required: state.required }, temporary, signal);
    }
    await rename(temporary, state.directory);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (error instanceof Error && codeOf(error) !== undefined && !('hint' in error)) {
      throw new FileError(`TPM state ${state.directory} cannot be made`, { cause: error });
    }
    throw error;
  }
}

/**
 * What is at the place of persistent state; makes nothing. Throws FileError for what is no directory of ours or root's, lies
 * where others can exchange it, or holds something else.
 */
export async function checkTpmState({
  directory: path,
  holders = [],
}: Pick<PlannedTpmState, 'directory' | 'holders'>): Promise<'missing' | 'empty' | 'used'> {
  let found: Stats;
  const place = unsafePlaceOf(path, holders);
  if (place !== null) throw unsafeError(path, place);
  try {
    found = await lstat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'missing';
    throw new FileError(`TPM state ${path} cannot be used`, { cause: error });
  }
  if (!found.isDirectory()) {
    throw new FileError(`TPM state ${path} is not a directory`, {
      hint: 'Remove it, or name another place with --tpm-state=PATH.',
    });
  }
  const unsafe = unsafeState(found);
  if (unsafe !== null) throw unsafeError(path, unsafe);
  const names = await readdir(path);
  if (names.length === 0) return 'empty';
  if (!names.some((name) => ofTpm.test(name)))
    throw unsafeError(path, 'holds other files than those of a TPM');
  return 'used';
}

function unsafeError(path: string, reason: string): FileError {
  return new FileError(`TPM state ${path} ${reason}`, {
    hint: 'Name another place with --tpm-state=PATH, or say --tpm-state=off.',
  });
}

function unsafePlaceOf(path: string, holders: readonly Owner[]): string | null {
  try {
    return unsafePlace(path, holders);
  } catch (error) {
    throw new FileError(`TPM state ${path} cannot be made`, {
      cause: error,
      hint: 'Name another place with --tpm-state=PATH, or use --tpm-state=off.',
    });
  }
}

/** swtpm_setup itself does not say that it found no space. */
async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < leastSpace;
}

function noSpace(directory: string, required: boolean): AuxiliaryError {
  return new AuxiliaryError(`TPM state cannot be made, because there is no space left in ${directory}`, {
    required,
    daemon: 'swtpm',
    hint: 'Make room, or name another place with --tpm-state=PATH.',
  });
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    throw new FileError(`TPM state ${path} cannot be made`, { cause: error });
  }
}

/**
 * Runs swtpm_setup in a session of its own: it starts a swtpm, and both must be gone before the directory may be removed or
 * the state's lock given back.
 */
async function manufacture(
  { setup, required }: { readonly setup: string; readonly required: boolean },
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const child = startEarlyChild({ signal });
  const endAll = (): void => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Not a group yet, or gone.
      child.kill('SIGKILL');
    }
  };
  const timer = setTimeout(endAll, setupTimeout);
  signal.addEventListener('abort', endAll);
  try {
    await child.handOver(
      {
        argv: swtpmSetupWords(setup, directory),
        environment: programEnvironment(process.env),
        descriptors: [],
        descriptorLimit: null,
        ownSession: true,
      },
      signal,
    );
    if (signal.aborted) endAll();
    const exit = await child.exited;
    if (signal.aborted) throw InterruptedError.of(signal);
    if (exit.code !== 0) {
      if (await isFull(directory)) throw noSpace(dirname(directory), required);
      const words = child.stderrTail.last(3).join('; ');
      throw new AuxiliaryError(
        `${setup} could not make TPM state in ${directory}: ${words || exitInWords(exit)}`,
        { required, daemon: 'swtpm' },
      );
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', endAll);
    await child[Symbol.asyncDispose]();
  }
  await writeFile(`${directory}/${manufacturedMarker}`, '', { mode: 0o600 });
}
