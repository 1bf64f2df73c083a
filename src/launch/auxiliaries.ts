import type { DisposalStack } from '../disposal.ts';
import { AuxiliaryError } from '../errors.ts';
import type { Manager, RunningAuxiliary } from '../manager/manager.ts';
import type { PlannedAuxiliary } from '../plan/plan.ts';
import { auxiliaryDeath } from './qemu-death.ts';
import { sideBySide } from './side-by-side.ts';
import type { TreeCopy } from './tree-copy.ts';

/**
 * All daemons side by side; each one that was started belongs to the stack, also when another one fails. One that the
 * machine can do without ends no other, so that a failure of one that it cannot do without is the one that is thrown.
 * A tree that is to be copied is so after those are started without which the start would begin again, for that may take minutes;
 * the rest may need the copy. Throws AuxiliaryError, and what the copy does.
 */
export async function startAuxiliaries(
  auxiliaries: readonly PlannedAuxiliary[],
  treeCopy: Pick<TreeCopy, 'make'> | null,
  manager: Pick<Manager, 'startAuxiliary'>,
  stack: DisposalStack,
  signal: AbortSignal,
): Promise<RunningAuxiliary[]> {
  const start = (some: readonly PlannedAuxiliary[]) =>
    sideBySide(
      some.map(
        (auxiliary) => async (each: AbortSignal) => stack.use(await manager.startAuxiliary(auxiliary, each)),
      ),
      signal,
      (error) => !(error instanceof AuxiliaryError) || error.required,
    );
  if (treeCopy === null) return await start(auxiliaries);
  const dispensable = await start(auxiliaries.filter(({ required }) => !required));
  await copyWhileTheyLive(treeCopy, dispensable, signal);
  return [...dispensable, ...(await start(auxiliaries.filter(({ required }) => required)))];
}

/** A daemon that was started may still end at once; nobody waits for the copy then. */
async function copyWhileTheyLive(
  treeCopy: Pick<TreeCopy, 'make'>,
  daemons: readonly RunningAuxiliary[],
  signal: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  const deaths: Promise<AuxiliaryError>[] = [];
  let copying = true;
  for (const daemon of daemons) {
    void daemon.ended.then((ended) => {
      if (!copying) return;
      deaths.push(auxiliaryDeath(daemon, ended));
      gone.abort();
    });
  }
  try {
    await treeCopy.make(AbortSignal.any([signal, gone.signal]));
  } catch (error) {
    const [death] = deaths;
    if (death === undefined || signal.aborted) throw error;
    throw await death;
  } finally {
    copying = false;
  }
}
