import { lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { exitInWords, startEarlyChild } from '../child/early-child.ts';
import { FileError, ImageError, InterruptedError, printable } from '../errors.ts';
import { programEnvironment } from '../host/identity.ts';
import type { PlannedTreeCopy } from '../plan/plan.ts';
import { containerPrefix } from '../plan/tree-copy.ts';
import { destroySubvolume, snapshotSubvolume } from '../sys/btrfs.ts';
import { lockDirectory } from '../sys/directory-lock.ts';
import { SystemCallError } from '../sys/koffi.ts';

/**
 * The throw-away copy of a tree: a directory for us alone, locked as long as we live, with the copy in it. Disposal
 * removes it, whole or not.
 */
export class TreeCopy implements AsyncDisposable {
  readonly #plan: PlannedTreeCopy;
  #lock: Disposable | null = null;

  /** Makes nothing yet, so that it can be owned before. */
  constructor(plan: PlannedTreeCopy) {
    this.#plan = plan;
  }

  /**
   * A snapshot where there can be one, else a copy of every file that shares its blocks with the original where the file
   * system can do that. Also removes what killed machines have left in the same place. Throws FileError with the first
   * thing that went wrong, ImageError for another tree than was looked at, InterruptedError.
   */
  async make(signal: AbortSignal): Promise<void> {
    const { source, identity, container, path, subvolume, copy } = this.#plan;
    await removeRemnants(this.#plan, signal);
    if (signal.aborted) throw InterruptedError.of(signal);
    try {
      mkdirSync(container, { mode: 0o700 });
      this.#lock = lockDirectory(container);
    } catch (error) {
      throw this.#failure(error);
    }
    if (this.#lock === null) throw this.#failure(new Error('somebody has removed it'));
    const { dev, ino } = statSync(source, { bigint: true });
    if (`${dev}:${ino}` !== identity) {
      throw new ImageError(
        `${printable(source)} was replaced by another directory while the machine was being started`,
        {
          hint: 'Start it again.',
        },
      );
    }
    if (subvolume && snapshot(source, path)) return;
    const complaint = await run(copy, signal);
    if (signal.aborted) throw InterruptedError.of(signal);
    if (complaint !== null) throw this.#failure(new Error(complaint));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await remove(this.#plan, null);
    } finally {
      this.#lock?.[Symbol.dispose]();
    }
  }

  #failure(cause: unknown): FileError {
    const { source, container } = this.#plan;
    return new FileError(`${printable(source)} cannot be copied to ${printable(container)}`, {
      cause,
      hint: 'Without --ephemeral no copy is made.',
    });
  }
}

/** False where the file system or the user's rights do not let it be; then a copy is made. */
function snapshot(source: string, path: string): boolean {
  try {
    snapshotSubvolume(source, path);
    return true;
  } catch (error) {
    if (error instanceof SystemCallError) return false;
    throw error;
  }
}

/** Containers beside ours that nobody holds. One that cannot be looked at or removed is somebody else's concern. */
async function removeRemnants(plan: PlannedTreeCopy, signal: AbortSignal): Promise<void> {
  const directory = dirname(plan.container);
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => name.startsWith(containerPrefix));
  } catch {
    // It may be written to, but not be listed.
    return;
  }
  for (const name of names) {
    if (signal.aborted) return;
    const container = join(directory, name);
    try {
      using lock = lockDirectory(container);
      if (lock === null) continue;
      const words = plan.remove.map((word) => (word === plan.container ? container : word));
      const [program = '', ...rest] = words;
      const remnant = { ...plan, container, path: join(container, 'tree') };
      await remove({ ...remnant, remove: [program, ...rest] }, signal);
    } catch {
      // It is tried again by the next one.
    }
  }
}

/** Throws FileError when something is left. */
async function remove(
  { container, path, remove: words }: PlannedTreeCopy,
  signal: AbortSignal | null,
): Promise<void> {
  if (lstatSync(container, { throwIfNoEntry: false }) === undefined) return;
  try {
    destroySubvolume(path);
  } catch {
    // No subvolume, or not by us; either can be removed as a directory, too.
  }
  const complaint = await run(words, signal);
  if (complaint === null) return;
  throw new FileError(`${printable(container)} cannot be removed`, { cause: new Error(complaint) });
}

/**
 * Runs a command to its end, or to its first complaint, since one of a full disk would be followed by one for each
 * further file; null when it went well. Ended when `signal` aborts.
 */
async function run(
  words: readonly [string, ...string[]],
  signal: AbortSignal | null,
): Promise<string | null> {
  let complaint: string | null = null;
  await using child = startEarlyChild({
    ...(signal === null ? {} : { signal }),
    onLine: (line) => {
      complaint ??= line;
      end();
    },
  });
  const end = (): void => child.kill('SIGKILL');
  signal?.addEventListener('abort', end);
  try {
    await child.handOver(
      {
        argv: words,
        environment: { ...programEnvironment(process.env), LC_ALL: 'C.UTF-8' },
        descriptors: [],
        descriptorLimit: null,
        ownSession: true,
      },
      signal ?? undefined,
    );
    if (signal?.aborted) end();
    const exit = await child.exited;
    return complaint ?? (exit.code === 0 ? null : `${words[0]} ended with ${exitInWords(exit)}`);
  } finally {
    signal?.removeEventListener('abort', end);
  }
}
