import { closeSync, openSync } from 'node:fs';
import type { Undo } from '../console/undo.ts';
import { duplicateTo } from '../sys/descriptors.ts';
import { startSession } from '../sys/exec.ts';
import type { Front } from './front.ts';
import type { Messages } from './messages.ts';

/**
 * The program in front of a user, or of the script that started it, until it leaves: then it is a background process in a
 * session of its own that has nothing of the terminal open, and whoever has waited for it goes on.
 */
export class Foreground {
  /** Settles when somebody wants it to leave. */
  readonly wanted: Promise<void>;
  readonly #front: Front | null;
  readonly #messages: Messages;
  #want: () => void = () => {};
  #isWanted = false;
  #left = false;

  constructor(front: Front | null, messages: Messages) {
    this.#front = front;
    this.#messages = messages;
    this.wanted = new Promise((resolve) => {
      this.#want = resolve;
    });
  }

  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** What the terminal, and the process in front of us, do from now on is nothing to us. */
  get left(): boolean {
    return this.#left;
  }

  /** Asks whoever uses the terminal to put it in order, and to leave then. */
  want(): void {
    this.#isWanted = true;
    this.#want();
  }

  /** What is to be done with the terminal if we are killed in the middle of our work. */
  prepareForDeath(undo: Undo): void {
    if (!this.#left) this.#front?.prepareForDeath(undo);
  }

  /** Leaves, once. A process that leads its group stays in its session, and only ignores its end. Throws what open(2) throws. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    startSession();
    const nothing = openSync('/dev/null', 'r+');
    try {
      for (const fd of [0, 1, 2]) duplicateTo(nothing, fd);
    } finally {
      closeSync(nothing);
    }
    this.#messages.leaveTerminal();
    this.#front?.release();
  }
}
