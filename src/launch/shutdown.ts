import { QmpConnectionError } from '../qemu/errors.ts';
import type { GuestState } from './events.ts';
import { type Input, move, REMINDER, type Step } from './shutdown-steps.ts';

/** Timers, so that a test can be its own clock. */
export interface Clock {
  after(milliseconds: number, action: () => void): Disposable;
}

const systemClock: Clock = {
  after(milliseconds, action) {
    // setTimeout fires at once for what it cannot count.
    if (milliseconds > 2 ** 31 - 1) return { [Symbol.dispose]: () => {} };
    const timer = setTimeout(action, milliseconds);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

export interface ShutdownLadderOptions {
  /** The QMP client, or what stands for it. */
  readonly qmp: {
    execute(
      name: 'system_powerdown' | 'quit',
      values?: undefined,
      options?: { signal?: AbortSignal },
    ): Promise<unknown>;
  };
  /** Sends QEMU a signal; does nothing when it is gone. */
  readonly kill: (signal: 'SIGTERM' | 'SIGKILL') => void;
  /** Settles when QEMU is gone. */
  readonly exited: Promise<unknown>;
  /** What is known about the guest now. */
  readonly guest: () => GuestState;
  /** Tells the user. */
  readonly notice: (text: string) => void;
  /** The guest's grace period in milliseconds; 0 ends it at once. */
  readonly timeout: number;
  readonly clock?: Clock;
}

/**
 * Ends a machine, politely first: ACPI power-down, QMP quit, SIGTERM, SIGKILL (steps and times in shutdown-steps.ts).
 * It ends when QEMU is gone, whoever did it; disposal stops it where it is and leaves QEMU alone.
 */
export class ShutdownLadder implements Disposable {
  readonly #options: ShutdownLadderOptions;
  readonly #clock: Clock;
  #timeout: number;
  #step: Step = 'idle';
  #forced = false;
  #wanted = false;
  #deadline: Disposable | undefined;
  #reminder: Disposable | undefined;
  /** Ends the wait for the answer of the step before. */
  #call: AbortController | undefined;

  constructor(options: ShutdownLadderOptions) {
    this.#options = options;
    this.#timeout = options.timeout;
    this.#clock = options.clock ?? systemClock;
    const exited = () => this.#apply({ type: 'exited' });
    options.exited.then(exited, exited);
  }

  get step(): Step {
    return this.#step;
  }

  /**
   * Takes the first step, or goes one further at once. `reason` begins a sentence: `SIGTERM received`. `timeout`: the
   * milliseconds that the guest gets this time; no effect when it has been asked already.
   */
  request(reason: string, timeout?: number): void {
    if (this.#step === 'idle' && timeout !== undefined) this.#timeout = timeout;
    this.#apply({ type: 'request', reason });
  }

  /** Ends the machine now, without asking the guest: somebody who knows what that means wants it so. */
  end(reason: string): void {
    this.#wanted = true;
    this.#apply({ type: 'end', reason });
  }

  /** QEMU was told to end, or was ended; the guest had no say in it. */
  get forced(): boolean {
    return this.#forced;
  }

  /** ... and that is what was asked for. */
  get wanted(): boolean {
    return this.#wanted;
  }

  [Symbol.dispose](): void {
    this.#apply({ type: 'exited' });
  }

  #apply(input: Input): void {
    const { guest, notice, kill } = this.#options;
    const timeout = this.#timeout;
    const next = move(this.#step, input, { guest: guest(), timeout });
    const changed = next.step !== this.#step;
    this.#step = next.step;
    if (changed) {
      this.#deadline?.[Symbol.dispose]();
      this.#reminder?.[Symbol.dispose]();
      this.#call?.abort();
    }
    if (next.deadline !== null) {
      this.#deadline = this.#clock.after(next.deadline, () => this.#apply({ type: 'late' }));
    }
    if (next.notice !== null) notice(next.notice);
    if (next.effect !== null && next.effect !== 'powerdown') this.#forced = true;
    switch (next.effect) {
      case 'powerdown': {
        const call = this.#execute('system_powerdown');
        if (timeout > REMINDER) {
          this.#reminder = this.#clock.after(REMINDER, () =>
            this.#apply({ type: 'reminder', answered: call.answered }),
          );
        }
        break;
      }
      case 'quit':
        this.#execute('quit');
        break;
      case 'SIGTERM':
      case 'SIGKILL':
        kill(next.effect);
        break;
    }
  }

  #execute(command: 'system_powerdown' | 'quit'): { readonly answered: boolean } {
    const controller = new AbortController();
    this.#call = controller;
    const call = { answered: false };
    this.#options.qmp.execute(command, undefined, { signal: controller.signal }).then(
      () => {
        call.answered = true;
      },
      (error: unknown) => {
        call.answered = true;
        if (controller.signal.aborted) return;
        // QEMU closes the connection when it quits, with or without an answer before.
        if (command === 'quit' && error instanceof QmpConnectionError) return;
        this.#apply({ type: 'failed', words: error instanceof Error ? error.message : String(error) });
      },
    );
    return call;
  }
}
