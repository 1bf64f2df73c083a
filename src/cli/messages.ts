import { lineEnd } from '../console/terminal-mode.ts';
import { describeError, printable } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import type { Notice } from '../plan/plan.ts';
import { isJournalStream, type JournalFields, sendToJournal } from '../sys/journal.ts';
import { writeErr } from '../sys/stdio.ts';
import { type LifecycleEvent, lifecycle } from './lifecycle.ts';

/** Of syslog(3). */
const priorities = { notice: 6, warning: 4, error: 3 } as const;

export interface MessageOptions {
  readonly environment: Environment;
  /** Leaves out notices that are not part of the machine's life. */
  readonly quiet: boolean;
  /** Its name, where it is known. */
  readonly machine: string | null;
  /** Stands for journald's own, in tests. */
  readonly socket?: string;
}

/**
 * Where everything goes that the program says beside the guest's own words: to the journal with its fields when standard
 * error leads there (a service, or systemd-cat(1)), to standard error otherwise.
 */
export class Messages {
  /** Standard error is the journal. */
  readonly journal: boolean;
  readonly #options: MessageOptions;
  #left = false;
  #machine: string | null;

  constructor(options: MessageOptions) {
    this.#options = options;
    this.#machine = options.machine;
    this.journal = isJournalStream(options.environment['JOURNAL_STREAM'], 2);
  }

  /** Standard error is nobody's any more: from now on all goes to the journal, or nowhere on a host without one. */
  leaveTerminal(): void {
    this.#left = true;
  }

  get #recorded(): boolean {
    return this.journal || this.#left;
  }

  notice(notice: Notice): void {
    if (notice.level === 'notice' && this.#options.quiet && !(this.#recorded && notice.event !== undefined))
      return;
    this.#say(notice.level, printable(notice.text), notice.event);
  }

  /** `error` ends the program with `status`. */
  failed(error: unknown, status: number): void {
    this.#say('error', describeFailure(error), 'failed', { EXIT_STATUS: String(status) });
  }

  /** The processors run. A terminal has the banner for this. */
  started(machine: string, pid: number): void {
    this.#machine = machine;
    if (this.journal) {
      this.#say('notice', `Machine ${machine} has started.`, 'started', { VMSPAWN_LEADER_PID: String(pid) });
    }
  }

  /** The machine has ended as it should; on a terminal one sees that. */
  stopped(status: number): void {
    if (!this.#recorded) return;
    const text = status === 0 ? 'has ended' : `has ended with status ${status}`;
    this.#say('notice', `Machine ${this.#machine} ${text}.`, 'stopped', { EXIT_STATUS: String(status) });
  }

  #say(
    level: keyof typeof priorities,
    text: string,
    event: LifecycleEvent | undefined,
    fields: JournalFields = {},
  ): void {
    if (this.#recorded) {
      try {
        sendToJournal(
          {
            MESSAGE: text,
            PRIORITY: String(priorities[level]),
            SYSLOG_IDENTIFIER: 'vmspawn',
            ...(this.#machine === null ? {} : { MACHINE: this.#machine }),
            ...(event === undefined ? {} : { MESSAGE_ID: lifecycle[event].id }),
            ...fields,
          },
          this.#options.socket,
        );
        return;
      } catch {
        // journald is being restarted; its streams are kept open over that.
        if (this.#left) return;
      }
    }
    const end = lineEnd();
    // On a raw terminal the guest's cursor is anywhere: a line of its own.
    writeErr(`${end === '\r\n' ? end : ''}vmspawn: ${text}${end}`);
  }
}

/** An error as a sentence for the user. */
export function describeFailure(error: unknown): string {
  const full = error instanceof Error && 'syscall' in error && error.syscall === 'write';
  return full ? `Standard output cannot be written: ${error.message}.` : describeError(error);
}
