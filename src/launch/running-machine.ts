import type { Duplex } from 'node:stream';
import type { EarlyChild } from '../child/early-child.ts';
import type { DisposalStack } from '../disposal.ts';
import { QemuError, type VmspawnError } from '../errors.ts';
import type { RunningAuxiliary } from '../manager/manager.ts';
import type { Notice, Plan } from '../plan/plan.ts';
import type { Qmp } from '../qemu/qmp.ts';
import { interpretEvent } from './events.ts';
import type { Outcome } from './outcome.ts';
import { auxiliaryDeath, lastWords, qemuDeath } from './qemu-death.ts';
import { ShutdownLadder } from './shutdown.ts';

export interface MachineParts {
  readonly plan: Plan;
  readonly child: EarlyChild;
  readonly qmp: Qmp;
  readonly console: Duplex | null;
  readonly auxiliaries: readonly RunningAuxiliary[];
  notice(notice: Notice): void;
}

/**
 * A machine from its QMP greeting to its end: by the guest's own power-off, by the shutdown ladder, or by an accident;
 * `exited` tells which. Disposal shuts it down and waits for the end.
 */
export class RunningMachine implements AsyncDisposable {
  readonly plan: Plan;
  /** QEMU's. */
  readonly pid: number;
  /** The guest's console; null where it is the terminal itself or there is none. */
  readonly console: Duplex | null;
  /** Settles when QEMU is gone and everything has been given back. Never rejects. */
  readonly exited: Promise<Outcome>;
  readonly #parts: MachineParts;
  readonly #ladder: ShutdownLadder;
  /** The first thing that went wrong; it decides the exit status. */
  #failure: VmspawnError | null = null;

  #settle: (outcome: Outcome) => void = () => {};

  /** To be made before `cont`, so that no event is missed; `supervise` follows it. */
  constructor(parts: MachineParts) {
    const { plan, child, qmp } = parts;
    this.#parts = parts;
    this.plan = plan;
    this.pid = child.pid;
    this.console = parts.console;
    const gone = child.exited.then(() => undefined);
    this.#ladder = new ShutdownLadder({
      qmp,
      kill: (signal) => child.kill(signal),
      exited: gone,
      notice: (text) => parts.notice({ level: 'notice', text }),
      timeout: plan.shutdownTimeout,
    });
    qmp.onEvent((event) => this.#observe(event));
    this.exited = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** From now on the machine looks after itself: takes over what `stack` owns and gives it back when QEMU is gone. */
  supervise(stack: DisposalStack): void {
    for (const auxiliary of this.#parts.auxiliaries) void this.#watch(auxiliary);
    void this.#finish(stack).then(this.#settle);
  }

  /** One step of the shutdown ladder: the first call asks the guest to power off, each further one is less gentle. */
  requestShutdown(reason: string): void {
    this.#ladder.request(reason);
  }

  /** Ends the machine at once, without asking the guest. */
  end(reason: string): void {
    this.#ladder.requestEnd(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.requestShutdown('the machine is no longer wanted');
    await this.exited;
  }

  #observe(event: Parameters<typeof interpretEvent>[0]): void {
    const { notices, failure } = interpretEvent(event);
    for (const notice of notices) this.#parts.notice(notice);
    if (failure !== null) this.#failure ??= failure;
  }

  /** QEMU outlives no daemon silently: without its TPM a guest hangs in the next command to it. */
  async #watch(auxiliary: RunningAuxiliary): Promise<void> {
    const qemuGone = this.#parts.child.exited.then(() => null);
    const ended = await Promise.race([auxiliary.ended, qemuGone]);
    if (ended === null) return;
    this.#failure ??= auxiliaryDeath(auxiliary, ended);
    this.#parts.notice({ level: 'warning', text: `${this.#failure.message}; the machine is shut down.` });
    this.requestShutdown(`${auxiliary.plan.name} is gone`);
  }

  async #finish(stack: DisposalStack): Promise<Outcome> {
    const exit = await this.#parts.child.exited;
    const ladder = this.#ladder.result();
    let status = exit.code ?? 1;
    let error = this.#failure;
    if (error === null && ladder.forced) {
      // Somebody ended it against the guest's will, so QEMU's own status says nothing.
      status = ladder.wanted ? 0 : 1;
      if (!ladder.wanted)
        error = new QemuError(`The machine was ended without the guest's help: ${ladder.reason}`);
    } else if (exit.code !== 0) {
      error ??= qemuDeath(exit, lastWords(this.#parts.child), 'ended');
    }
    if (error !== null && status === 0) status = 1;
    try {
      await stack[Symbol.asyncDispose]();
    } catch (failure) {
      this.#parts.notice({
        level: 'warning',
        text: `Not everything could be cleaned up: ${String(failure)}`,
      });
    }
    return { status, error };
  }
}
