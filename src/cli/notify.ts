import { describeError, printable } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import type { RunningMachine } from '../launch/running-machine.ts';
import { notifyManager } from '../sys/notify.ts';

/** Milliseconds between two requests for more time, and what each asks for from its arrival on. */
const extensionInterval = 10_000;
const extension = 30_000;
/** Milliseconds that a start may take with all its steps; each of them has a limit of its own. */
const startLimit = 300_000;
/** Milliseconds for what comes after the guest's grace period: `quit`, signals, the end of daemons. */
const stopMargin = 45_000;

/**
 * Word to the service manager that started us (sd_notify(3)), where there is one. A manager that does not listen is
 * no reason to stop. During start and shutdown it is asked for more time again and again, as long as both are within the
 * time that they may take: the unit's own limits need not know how long a guest gets to power itself off.
 */
export class ManagerNotifier implements Disposable {
  readonly #address: string;
  #stopping = false;
  #exiting = false;
  /** The guest has said something of itself. */
  #said = false;
  #extending: NodeJS.Timeout | undefined;

  constructor(environment: Environment) {
    this.#address = environment['NOTIFY_SOCKET'] ?? '';
  }

  /** The start begins. */
  starting(): void {
    this.#send(['STATUS=The machine is being started.']);
    this.#extend(startLimit);
  }

  /** The machine's processors run; for how long its guest may take to become ready is in the plan. */
  started({ plan, pid }: Pick<RunningMachine, 'plan' | 'pid'>): void {
    const { guest, patience } = plan.readiness;
    // Who insists on the guest's word leaves it to the unit how long to wait.
    if (guest && patience !== null) this.#extend(patience + extension);
    else this.#stopExtending();
    this.#send([
      `STATUS=The machine ${plan.machine} ${guest ? 'is booting' : 'runs'}.`,
      `X_VMSPAWN_LEADER_PID=${pid}`,
    ]);
  }

  /** The machine is ready. */
  ready({ plan }: Pick<RunningMachine, 'plan'>): void {
    if (this.#stopping) return;
    this.#stopExtending();
    this.#send([...(this.#said ? [] : [`STATUS=The machine ${plan.machine} runs.`]), 'READY=1']);
  }

  /** What the guest says that it does, which is as good as what we know. */
  guestStatus(text: string): void {
    if (this.#stopping) return;
    this.#said = true;
    this.#send([`STATUS=Guest: ${oneLine(text)}`]);
  }

  /** The guest's word that it is ready is late; `text` says so, unless the guest has said what it does. */
  waiting(text: string): void {
    if (!this.#stopping && !this.#said) this.#send([`STATUS=${oneLine(text)}`]);
  }

  /** The event loop and QEMU's both go round. */
  watchdog(): void {
    this.#send(['WATCHDOG=1']);
  }

  /**
   * The machine is asked to end, or the request goes a step further; `text` says so, `timeout` is the guest's grace
   * period in milliseconds, null without an end.
   */
  stopping(text: string, timeout: number | null): void {
    if (this.#exiting) return;
    this.#send([...(this.#stopping ? [] : ['STOPPING=1']), `STATUS=${oneLine(text)}`]);
    if (!this.#stopping) this.#extend(timeout === null ? Number.POSITIVE_INFINITY : timeout + stopMargin);
    this.#stopping = true;
  }

  /** The exit status that we are about to have, and what went wrong. */
  exiting(status: number, error: unknown): void {
    this.#stopExtending();
    this.#exiting = true;
    const errno = status === 0 ? null : errnoOf(error);
    this.#send([
      `STATUS=${error === null ? 'The machine has ended.' : oneLine(describeError(error))}`,
      ...(errno === null ? [] : [`ERRNO=${errno}`]),
      `EXIT_STATUS=${status}`,
    ]);
  }

  [Symbol.dispose](): void {
    this.#stopExtending();
  }

  #extend(limit: number): void {
    this.#stopExtending();
    if (this.#address === '') return;
    const end = performance.now() + limit;
    const ask = () => {
      const left = end - performance.now();
      if (left <= 0) this.#stopExtending();
      else this.#send([`EXTEND_TIMEOUT_USEC=${Math.ceil(Math.min(extension, left)) * 1000}`]);
    };
    ask();
    this.#extending = setInterval(ask, extensionInterval);
    this.#extending.unref();
  }

  #stopExtending(): void {
    clearInterval(this.#extending);
    this.#extending = undefined;
  }

  #send(lines: readonly string[]): void {
    if (this.#address === '') return;
    try {
      notifyManager(this.#address, lines);
    } catch {
      // Nobody there: a NOTIFY_SOCKET inherited from a unit that is gone.
    }
  }
}

function oneLine(text: string): string {
  return printable(text.replaceAll('\n', ' '));
}

/** The number of the system's error at the bottom of an error, which `systemctl status` shows in words. */
function errnoOf(error: unknown): number | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('errno' in cause && typeof cause.errno === 'number' && cause.errno !== 0)
      return Math.abs(cause.errno);
  }
  return null;
}
