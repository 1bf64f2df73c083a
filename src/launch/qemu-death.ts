import type { EarlyChild, ExitStatus } from '../child/early-child.ts';
import { AuxiliaryError, InterruptedError, QemuError, VmspawnError } from '../errors.ts';
import type { RunningAuxiliary } from '../manager/manager.ts';

/** Milliseconds in which a QEMU whose QMP connection broke is expected to be gone, with its reason on stderr. */
const deathTimeout = 2_000;

/** What QEMU said last on its standard error, in one line. */
export function lastWords(child: EarlyChild): string {
  return child.stderrTail
    .last(3)
    .map((line) => line.replace(/^qemu-system-[a-z0-9_]+: /, ''))
    .join('; ');
}

/** How a process ended, in words: "exit status 1", "signal SIGSYS". */
export function exitInWords({ code, signal }: ExitStatus): string {
  return signal === null ? `exit status ${code ?? '?'}` : `signal ${signal}`;
}

/** The error for a QEMU that ended with anything but success: its own last words, or how it ended where it said none. */
export function qemuDeath(exit: ExitStatus, lastWords: string, when: string): QemuError {
  if (exit.signal === 'SIGSYS') {
    return new QemuError(`QEMU ${when} and was ended by its own sandbox (signal SIGSYS)`, {
      hint: 'A device or an argument that was added needs what the sandbox denies; --qemu-arg=-sandbox --qemu-arg=off turns it off.',
    });
  }
  const words = lastWords.trim();
  return new QemuError(`QEMU ${when} with ${exitInWords(exit)}${words === '' ? '' : `: ${words}`}`);
}

/**
 * The first cause behind a failure between hand-over and `cont`: a daemon that QEMU needs and that is gone, QEMU's own
 * death with its words, or the error as it is.
 */
export async function startFailure(
  error: unknown,
  child: EarlyChild,
  auxiliaries: readonly RunningAuxiliary[],
  signal: AbortSignal,
): Promise<unknown> {
  if (signal.aborted) return new InterruptedError('The start was given up', { cause: signal.reason });
  for (const auxiliary of auxiliaries) {
    const ended = await settledWithin(auxiliary.ended, 0);
    if (ended !== null) return auxiliaryDeath(auxiliary, ended);
  }
  if (error instanceof VmspawnError && !(error instanceof QemuError)) return error;
  const exit = await settledWithin(child.exited, deathTimeout);
  if (exit === null) return error;
  return qemuDeath(exit, lastWords(child), 'did not start, it ended');
}

/** The error for a daemon that is gone though the machine needs it. */
export function auxiliaryDeath(auxiliary: RunningAuxiliary, ended: string): AuxiliaryError {
  const words = auxiliary.lastWords().trim();
  return new AuxiliaryError(
    `${auxiliary.plan.description} ${auxiliary.plan.name} ended with ${ended}${words === '' ? '' : `: ${words}`}`,
    { auxiliary: auxiliary.plan.name },
  );
}

/** What `promise` gives if it does so in time, else null; the timer does not outlive this. */
export async function settledWithin<T>(promise: Promise<T>, milliseconds: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, milliseconds, null);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
