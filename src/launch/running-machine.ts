import type { EarlyChild, ExitStatus } from '../child/early-child.ts';
import type { ConsoleHub } from '../console/hub.ts';
import type { MachineEnd } from '../control/console-frames.ts';
import { type ControlledMachine, runningMachine } from '../control/machine.ts';
import type { DisposalStack } from '../disposal.ts';
import { describeError, QemuError, type VmspawnError } from '../errors.ts';
import type { Manager, RunningAuxiliary } from '../manager/manager.ts';
import type { Notice, Plan } from '../plan/plan.ts';
import type { QmpEvent } from '../qemu/messages.ts';
import type { Qmp } from '../qemu/qmp.ts';
import { DriverWatch } from './driver-watch.ts';
import { type GuestState, initialGuestState, observe } from './events.ts';
import type { GuestChannel } from './guest-channel.ts';
import type { GuestWord } from './guest-word.ts';
import type { Outcome } from './outcome.ts';
import { auxiliaryDeath, lastWords, qemuDeath, settledWithin } from './qemu-death.ts';
import { ShutdownLadder } from './shutdown.ts';

/** Milliseconds between the end of QEMU, or of a daemon that follows it, and the rest of that being seen. */
const qemuLag = 500;

/** Milliseconds between two presses of the power button. */
const pressInterval = 3_000;

export interface MachineParts {
  readonly plan: Plan;
  readonly child: EarlyChild;
  readonly qmp: Qmp;
  readonly console: ConsoleHub | null;
  readonly auxiliaries: readonly RunningAuxiliary[];
  readonly manager: Pick<Manager, 'terminating'>;
  /** What the guest says of itself, and the ways by which it does. */
  readonly word: GuestWord;
  readonly channel: Pick<GuestChannel, 'drained'>;
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
  /**
   * The guest's console; null where it is the terminal itself or there is none. Its last part stays readable after the
   * machine is gone; disposal closes it.
   */
  readonly console: ConsoleHub | null;
  /** Settles when QEMU is gone, before the rest is cleaned up: how. Never rejects. */
  readonly ended: Promise<ExitStatus>;
  /** Settles when the machine counts as ready; rejects with a QemuError when it has ended before. */
  readonly ready: Promise<void>;
  /** Settles when QEMU is gone and everything has been given back. Never rejects. */
  readonly exited: Promise<Outcome>;
  readonly #parts: MachineParts;
  readonly #ladder: ShutdownLadder;
  readonly #drivers: DriverWatch;
  /** The first thing that went wrong; it decides the exit status. */
  #failure: VmspawnError | null = null;

  /** Settles when it is known why a daemon has gone, if one has. */
  #dying: Promise<void> | null = null;
  #guest: GuestState = initialGuestState;
  #pressing: NodeJS.Timeout | undefined;
  #settle: (outcome: Outcome) => void = () => {};
  /** What those who are attached to the console are told in the end. */
  readonly #decided: Promise<MachineEnd>;
  #decide: (end: MachineEnd) => void = () => {};

  /** To be made before `cont`, so that no event is missed; `supervise` follows it. */
  constructor(parts: MachineParts) {
    const { plan, child, qmp } = parts;
    this.#parts = parts;
    this.plan = plan;
    this.pid = child.pid;
    this.console = parts.console;
    this.ended = child.exited;
    this.ready = parts.word.ready;
    this.#ladder = new ShutdownLadder({
      qmp,
      kill: (signal) => child.kill(signal),
      exited: child.exited,
      guest: () => this.#guest,
      notice: (text) => parts.notice({ level: 'notice', text, event: 'shutdown' }),
      timeout: plan.shutdownTimeout ?? Number.POSITIVE_INFINITY,
    });
    this.#drivers = new DriverWatch({
      plan,
      qmp,
      running: () => this.#guest.run === 'running' && this.#guest.shutdown === null,
      notice: (notice) => parts.notice(notice),
    });
    parts.word.onReady(() => this.#drivers.ready());
    qmp.onEvent((event) => this.#observe(event));
    this.exited = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
  }

  /** From now on the machine looks after itself: takes over what `stack` owns and gives it back when QEMU is gone. */
  supervise(stack: DisposalStack): void {
    this.#parts.word.started();
    this.#drivers.started();
    for (const auxiliary of this.#parts.auxiliaries) void this.#watch(auxiliary);
    void this.#finish(stack).then(this.#settle);
  }

  /**
   * One step of the shutdown ladder: the first call asks the guest to power off, each further one is less gentle. The
   * first may give it another `timeout`, in milliseconds, than the machine's own.
   */
  requestShutdown(reason: string, timeout?: number): void {
    const first = !this.shuttingDown;
    if (first) this.#drivers.leaving();
    this.#ladder.request(reason, timeout);
    if (first) this.#heedTermination();
    // Not for a machine that is gone, which nobody would tell to stop pressing.
    if (this.#ladder.step === 'powerdown') {
      this.#pressing ??= setInterval(() => this.#pressAgain(), pressInterval);
    }
  }

  /** Somebody has asked the machine to end. */
  get shuttingDown(): boolean {
    return this.#ladder.step !== 'idle';
  }

  /** The machine for whoever controls it from outside; a power-off that is asked for twice is not less gentle. */
  get controlled(): ControlledMachine {
    return runningMachine(this.#parts.qmp, {
      powerOff: () => {
        if (this.shuttingDown) this.#heedTermination();
        else this.requestShutdown('Power-off requested');
      },
      terminate: () => this.end('Termination requested'),
      console: () => (this.console === null ? null : { hub: this.console, ended: this.#decided }),
    });
  }

  /** Lets a paused machine go on, e.g. after a full disk has got room again. */
  async resume(): Promise<void> {
    await this.#parts.qmp.execute('cont');
  }

  /** Whether QEMU answers within `timeout` milliseconds: its main loop goes round, whatever the guest does. */
  async alive(timeout: number): Promise<boolean> {
    try {
      await this.#parts.qmp.execute('query-status', undefined, { timeout });
      return true;
    } catch {
      return false;
    }
  }

  /** A press that comes before the guest's kernel listens is lost, so one is not enough during a boot. */
  #pressAgain(): void {
    if (this.#ladder.step !== 'powerdown' || this.#guest.shutdown !== null) return;
    this.#parts.qmp.execute('system_powerdown').catch(() => {
      // The ladder has its own time for a QEMU that does not answer.
    });
  }

  /** machinectl's terminate looks like any other stop of the scope; it does not want the guest to be asked or waited for. */
  #heedTermination(): void {
    void this.#parts.manager.terminating().then((now) => {
      if (now && this.#ladder.step === 'powerdown') this.end('Termination requested');
    });
  }

  /** Ends the machine at once, without asking the guest. */
  end(reason: string): void {
    this.#ladder.end(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.requestShutdown('The machine is not wanted any more');
    await this.exited;
    this.console?.destroy();
  }

  #observe(event: QmpEvent): void {
    const { state, notices, end } = observe(this.#guest, event);
    if (event.name === 'RESET') {
      this.#parts.word.reset();
      this.#drivers.started();
    }
    this.#guest = state;
    for (const notice of notices) this.#parts.notice(notice);
    if (state.panicked) this.#failure ??= new QemuError('The kernel of the guest has panicked');
    if (end) void this.#endUseless();
  }

  /** Ends a machine that is paused for ever. */
  async #endUseless(): Promise<void> {
    await this.#drivers.panicked();
    // Whoever has asked meanwhile, for a second time, is ahead of us.
    if (this.shuttingDown && this.#ladder.step !== 'powerdown') return;
    this.#ladder.end('The machine is of no use any more');
  }

  /**
   * QEMU outlives no daemon silently: without its TPM a guest hangs in the next command to it. A daemon that ends because
   * QEMU did may well be seen first, so QEMU gets a moment.
   */
  async #watch(auxiliary: RunningAuxiliary): Promise<void> {
    const { child } = this.#parts;
    const ended = await Promise.race([auxiliary.ended, child.exited.then(() => null)]);
    if (ended === null || this.#guest.shutdown !== null) return;
    if ((await settledWithin(child.exited, qemuLag)) !== null) return;
    if (auxiliary.plan.expendable) {
      const { message } = await auxiliaryDeath(auxiliary, ended);
      const text = `${message}; the machine goes on without.`;
      this.#parts.notice({ level: 'warning', text, event: 'auxiliary-died' });
      return;
    }
    // Its last words may take the journal a while; the guest, which hangs without it, is asked at once.
    this.#dying = auxiliaryDeath(auxiliary, ended).then((death) => {
      this.#failure ??= death;
      this.#parts.notice({
        level: 'warning',
        text: `${death.message}; the machine is shut down.`,
        event: 'auxiliary-died',
      });
    });
    this.requestShutdown(`${auxiliary.plan.name} is gone`, auxiliary.plan.shutdownTimeout);
  }

  async #finish(stack: DisposalStack): Promise<Outcome> {
    const exit = await this.#parts.child.exited;
    // Its last events, which tell why it ended, may still be on their way.
    await settledWithin(this.#parts.qmp.closed, qemuLag);
    clearInterval(this.#pressing);
    this.#drivers[Symbol.dispose]();
    await this.#dying;
    let error = this.#failure;
    // Against the guest's will, by quit or signals: QEMU's own status says nothing then.
    const forced = this.#ladder.forced && this.#guest.shutdown?.guest !== true;
    let status = forced ? 0 : (exit.code ?? 1);
    if (error === null && forced && !this.#ladder.wanted) {
      error = new QemuError('The guest did not power itself off, the machine was ended');
    } else if (error === null && !forced && this.#guest.shutdown?.reason === 'host-signal') {
      error = new QemuError('QEMU was ended by a signal from somebody else');
    } else if (error === null && !forced && exit.code !== 0) {
      error = qemuDeath(exit, lastWords(this.#parts.child), 'ended');
    }
    if (error !== null && status === 0) status = 1;
    // What the guest wrote last may still be on its way; the other side is gone, so that it comes to an end.
    await settledWithin(Promise.all([this.#parts.channel.drained, this.#parts.console?.ended]), qemuLag);
    const said = this.#parts.word.exitStatus;
    if (error === null && !forced && said !== null) status = said;
    this.#decide({ status, text: error === null ? '' : describeError(error) });
    try {
      await stack[Symbol.asyncDispose]();
      this.#ladder[Symbol.dispose]();
    } catch (failure) {
      this.#parts.notice({
        level: 'warning',
        text: `Not everything could be cleaned up: ${String(failure)}`,
      });
    }
    return { status, error };
  }
}
