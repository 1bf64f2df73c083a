import { balloonId } from '../plan/balloon.ts';
import type { Notice, Plan, PlannedShare } from '../plan/plan.ts';
import { patience } from '../plan/readiness.ts';
import { devicesDriven } from '../qemu/device-status.ts';
import type { Qmp } from '../qemu/qmp.ts';
import { inQuestion, lacksDriver, type Moment, missingDriver, needsSecondLook } from './guest-drivers.ts';

/** Milliseconds between two looks. */
const secondLook = 3_000;

/** Of the time after which nobody waits for a guest's word: in this part of it a kernel has looked for its root. */
const settling = 1 / 3;

export interface DriverWatchOptions {
  readonly plan: Plan;
  readonly qmp: Pick<Qmp, 'execute'>;
  /** The processors run, and the machine does not end by itself. */
  readonly running: () => boolean;
  readonly notice: (notice: Notice) => void;
}

/**
 * Tells the user, once for each, which of the directories the guest's kernel has no driver for (guest-drivers.ts says
 * when). What QEMU does not answer means that nobody knows.
 */
export class DriverWatch implements Disposable {
  readonly #options: DriverWatchOptions;
  /** Those that the guest has not been seen to drive, and nobody was told of. */
  #open: readonly PlannedShare[];
  /** Counts the guest's starts; what was asked of an earlier one is not heeded. */
  #start = 0;
  #heard = false;
  #settled = false;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: DriverWatchOptions) {
    this.#options = options;
    this.#open = options.plan.auxiliaries.flatMap(({ share }) => share ?? []);
  }

  /** The guest starts, or starts anew: its devices have no drivers. */
  started(): void {
    this.#forget();
    this.#heard = false;
    this.#settled = false;
    if (this.#open.length === 0) return;
    const time = patience[this.#options.plan.qemu.configuration.accelerator.name];
    this.#after(time * settling, () => {
      this.#settled = true;
      void this.#look('settled');
    });
    this.#after(time, () => void this.#look('overdue'));
  }

  /** The guest has said that it is up; it may do so without end. */
  ready(): void {
    if (this.#heard) return;
    this.#forget();
    this.#heard = true;
    void this.#look('ready');
  }

  /** Resolves when the user was told what can be told of a machine that is paused now. Never rejects. */
  async panicked(): Promise<void> {
    await this.#look('panicked');
  }

  /** The guest is about to be asked to end. */
  leaving(): void {
    if (this.#settled && !this.#heard) void this.#look('leaving');
  }

  [Symbol.dispose](): void {
    this.#forget();
    this.#open = [];
  }

  async #look(moment: Moment, last = !needsSecondLook(moment)): Promise<void> {
    const start = this.#start;
    const shares = inQuestion(moment, this.#open);
    if (shares.length === 0) return;
    // Every machine has a balloon, and no firmware a driver for it, as EDK II has for the console's bus.
    const devices = [balloonId, ...shares.map(({ device }) => device)];
    const [witness = null, ...driven] = await devicesDriven(this.#options.qmp, devices);
    if (start !== this.#start) return;
    this.#open = this.#open.filter((share) => driven[shares.indexOf(share)] !== true);
    // Another look may have found out since.
    const lacking = shares.filter(
      (share, index) =>
        this.#open.includes(share) && lacksDriver(moment, share, { driven: driven[index] ?? null, witness }),
    );
    if (lacking.length === 0) return;
    if (!last) {
      this.#after(secondLook, () => {
        if (this.#options.running()) void this.#look(moment, true);
      });
      return;
    }
    this.#open = this.#open.filter((share) => !lacking.includes(share));
    for (const share of lacking) this.#options.notice(missingDriver(share));
  }

  #after(milliseconds: number, action: () => void): void {
    const timer = setTimeout(action, milliseconds);
    // What keeps a program going is the machine.
    timer.unref();
    this.#timers.push(timer);
  }

  #forget(): void {
    this.#start += 1;
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }
}
