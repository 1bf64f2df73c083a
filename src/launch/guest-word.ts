import { QemuError } from '../errors.ts';
import type { Notice, PlannedReadiness } from '../plan/plan.ts';
import { readySince } from '../plan/readiness.ts';
import type { GuestMessage } from './notify-reader.ts';

/** Milliseconds between two statuses that are passed on: a guest can send them without end. */
const statusInterval = 1_000;

export interface GuestWordOptions {
  readonly readiness: PlannedReadiness;
  notice(notice: Notice): void;
  /** What the guest does now, printable and short. */
  status(text: string): void;
}

/** What the guest has said of itself so far, and what becomes of a guest that says nothing. */
export class GuestWord implements Disposable {
  /** Settles when the machine counts as ready; rejects with a QemuError when it has ended before. */
  readonly ready: Promise<void>;
  #exitStatus: number | null = null;
  #onReady: () => void = () => {};
  readonly #options: GuestWordOptions;
  #settled = false;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  #patience: NodeJS.Timeout | undefined;
  #status: string | null = null;
  #interval: NodeJS.Timeout | undefined;

  constructor(options: GuestWordOptions) {
    this.#options = options;
    this.ready = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Not everybody waits for it.
    this.ready.catch(() => {});
  }

  /** Calls `listener` each time that the guest itself says that it is ready. */
  onReady(listener: () => void): void {
    this.#onReady = listener;
  }

  /** The status that the guest's systemd was told to end with; null when it has not said one since its last boot. */
  get exitStatus(): number | null {
    return this.#exitStatus;
  }

  /** The processors run: from now on the guest has time to say something. */
  started(): void {
    const { guest, patience, reminder } = this.#options.readiness;
    const time = patience ?? reminder;
    if (!guest) this.#becomeReady();
    else if (time !== undefined && !this.#settled) {
      this.#patience = setTimeout(() => {
        const late = `The guest has not said within ${time / 1000} s that it is ready`;
        this.#options.notice(patience === null ? waitedFor(late) : countsAsReady(late));
        if (patience !== null) this.#becomeReady();
      }, time);
      // What keeps a program going is the machine.
      this.#patience.unref();
    }
  }

  receive(message: GuestMessage): void {
    if (message.kind === 'ready') {
      this.#becomeReady();
      this.#onReady();
    } else if (message.kind === 'exit-status') this.#exitStatus = message.status;
    else if (this.#interval === undefined) this.#tell(message.text);
    else this.#status = message.text;
  }

  /** What was to be the end was a reboot. */
  reset(): void {
    this.#exitStatus = null;
  }

  /** The machine is gone. */
  [Symbol.dispose](): void {
    clearTimeout(this.#patience);
    clearTimeout(this.#interval);
    if (this.#settled) return;
    this.#settled = true;
    this.#reject(new QemuError('The machine has ended before it was ready'));
  }

  #becomeReady(): void {
    clearTimeout(this.#patience);
    this.#settled = true;
    this.#resolve();
  }

  /** The first one at once, of those that follow too soon only the last. */
  #tell(text: string): void {
    this.#status = null;
    this.#options.status(text);
    this.#interval = setTimeout(() => {
      this.#interval = undefined;
      if (this.#status !== null) this.#tell(this.#status);
    }, statusInterval);
    this.#interval.unref();
  }
}

function countsAsReady(late: string): Notice {
  return { level: 'notice', text: `${late}; it counts as ready now (see --notify-ready=).` };
}

function waitedFor(late: string): Notice {
  const text = `${late}; it is waited for (${readySince}; without --notify-ready=yes nobody waits for ever).`;
  return { level: 'warning', text, event: 'not-ready' };
}
