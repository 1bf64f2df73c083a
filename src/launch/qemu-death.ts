import { type EarlyChild, type ExitStatus, exitInWords } from '../child/early-child.ts';
import { AuxiliaryError, InterruptedError, QemuError, VmspawnError } from '../errors.ts';
import type { RunningAuxiliary } from '../manager/manager.ts';

/** How a daemon ends that followed its QEMU: by itself, or stopped by the manager together with the scope. */
const followed: ReadonlySet<string> = new Set([
  exitInWords({ code: 0, signal: null }),
  exitInWords({ code: null, signal: 'SIGTERM' }),
]);

/** Milliseconds in which a QEMU whose QMP connection broke is expected to be gone, with its reason on stderr. */
const deathTimeout = 2_000;

/** What QEMU says when the other end of a daemon's socket is gone. */
const daemonWords = /tpm-emulator|vhost/;

/** What QEMU says when it cannot listen on a port of the host; the reason it leaves out. */
const forwardingWords = 'Could not set up host forwarding rule';
const portHint =
  'Something else listens on that port of the host, or this user may not: choose another one with --port=.';

/** What QEMU said last on its standard error, in one line. */
export function lastWords(child: EarlyChild): string {
  return child.stderrTail
    .last(3)
    .map((line) => line.replace(/^qemu-system-[a-z0-9_]+: /, ''))
    .join('; ');
}

/** The error for a QEMU that ended with anything but success: its own last words, or how it ended where it said none. */
export function qemuDeath(exit: ExitStatus, lastWords: string, when: string): QemuError {
  if (exit.signal === 'SIGSYS') {
    return new QemuError(`QEMU ${when} and was ended by its own sandbox (signal SIGSYS)`, {
      hint: 'A device or an argument that was added needs what the sandbox denies; --qemu-arg=-sandbox --qemu-arg=off turns it off.',
    });
  }
  const words = lastWords.trim();
  const text = `QEMU ${when} with ${exitInWords(exit)}${words === '' ? '' : `: ${words}`}`;
  return new QemuError(text, words.includes(forwardingWords) ? { hint: portHint } : {});
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
  // With QEMU gone its scope is, and the guard of that asks for a power-off, which is not the cause.
  const gone = (await settledWithin(child.exited, 0)) !== null;
  if (signal.aborted && !gone) return InterruptedError.of(signal);
  const dead = await firstDeath(auxiliaries, 0);
  if (dead !== null) return dead;
  if (error instanceof VmspawnError && !(error instanceof QemuError)) return error;
  const exit = await settledWithin(child.exited, deathTimeout);
  if (exit === null) return error;
  const death = qemuDeath(exit, lastWords(child), 'did not start, it ended');
  // The word of QEMU's end comes by a signal, that of a unit's end over the bus, and later on a busy host.
  const cause = daemonWords.test(death.message) ? await firstDeath(auxiliaries, deathTimeout) : null;
  if (cause !== null) return cause;
  const swtpm = auxiliaries.find(({ plan }) => plan.name === 'swtpm');
  // A TPM whose state cannot be read answers QEMU with an error, and ends cleanly after it.
  if (swtpm === undefined || !death.message.includes('tpm-emulator')) return death;
  return new AuxiliaryError(`${swtpm.plan.description} ${swtpm.plan.name} does not work: ${death.message}`, {
    required: swtpm.plan.required,
    daemon: swtpm.plan.name,
  });
}

/** The error for the first of the daemons that is found to have died by itself, null if none does in so many milliseconds. */
async function firstDeath(
  auxiliaries: readonly RunningAuxiliary[],
  milliseconds: number,
): Promise<AuxiliaryError | null> {
  const deaths = auxiliaries.map(async (auxiliary) => {
    const ended = await auxiliary.ended;
    if (followed.has(ended)) throw new Error('it followed QEMU');
    return { auxiliary, ended };
  });
  const first = await settledWithin(
    Promise.any(deaths).catch(() => null),
    milliseconds,
  );
  return first === null ? null : await auxiliaryDeath(first.auxiliary, first.ended);
}

/** The error for a daemon that is gone though the machine needs it: its unit, how it ended, its last words. */
export async function auxiliaryDeath(auxiliary: RunningAuxiliary, ended: string): Promise<AuxiliaryError> {
  const words = (await auxiliary.lastWords()).trim();
  const unit = auxiliary.unit === null ? '' : ` (${auxiliary.unit})`;
  return new AuxiliaryError(
    `${auxiliary.plan.description} ${auxiliary.plan.name}${unit} ended with ${ended}${words === '' ? '' : `: ${words}`}`,
    { required: auxiliary.plan.required, daemon: auxiliary.plan.name },
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
