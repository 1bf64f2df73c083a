import { closeSync, fstatSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { Undo } from '../console/undo.ts';
import type { Environment } from '../host/identity.ts';
import { type PipeReader, readPipe } from '../sys/pipe-reader.ts';

/**
 * Names our end of the socket to whoever stands in front of us, and the file for what they are to do if we are killed:
 * `terminal:SOCKET:FILE`, `terminal:SOCKET` where it could have no file, or `background:SOCKET`.
 */
export const frontVariable = 'VMSPAWN_FRONT';

/** Bytes that go to the front (src/child/front.c); what comes from it are the numbers of signals. */
const listening = 'l';
export const leaving = 'd';

export interface FrontEvents {
  /** The front was sent a signal that is for us. */
  onSignal(signal: NodeJS.Signals): void;
  /** It has ended without having been told to. */
  onGone(): void;
}

/**
 * The process that started us and waits for us, as long as we do not leave it: `terminal` is vmspawn-front, which a shell
 * waits for; `background` the first process of --detach, which only waits until the machine runs.
 */
export class Front implements Disposable {
  readonly kind: 'terminal' | 'background';
  readonly #fd: number;
  readonly #file: number | null;
  #reader: PipeReader | null = null;
  #released = false;

  private constructor(kind: Front['kind'], fd: number, file: number | null) {
    this.kind = kind;
    this.#fd = fd;
    this.#file = file;
  }

  /** The front that the environment names, which then names it to nobody else; null for none. */
  static take(environment: { [name: string]: string | undefined }): Front | null {
    const [, terminal, file, background] = named.exec(environment[frontVariable] ?? '') ?? [];
    delete environment[frontVariable];
    const socket = terminal ?? background;
    if (socket === undefined) return null;
    try {
      if (!fstatSync(Number(socket)).isSocket()) return null;
      if (file !== undefined && !fstatSync(Number(file)).isFile()) return null;
    } catch {
      return null;
    }
    const kind = terminal === undefined ? 'background' : 'terminal';
    return new Front(kind, Number(socket), file === undefined ? null : Number(file));
  }

  /** From now on it passes signals on as `events`, and not as signals. Throws SystemCallError. */
  listen(events: FrontEvents): void {
    this.#reader = readPipe(this.#fd, (chunk) => {
      for (const byte of chunk) {
        const signal = signals.get(byte);
        if (signal !== undefined) events.onSignal(signal);
      }
    });
    void this.#reader.ended.then(() => {
      if (!this.#released) events.onGone();
    });
    this.#send(listening);
  }

  /** What it is to do with the terminal if we are killed, beside putting back the modes. In place of what was said before. */
  prepareForDeath({ text, answerTime }: Undo): void {
    if (this.#file === null || this.#released) return;
    try {
      // Of one page, so that nobody sees a half of it.
      writeSync(this.#file, `${answerTime}\n${text}\0`, 0);
    } catch {
      // No memory for it: then the modes are all that is put back.
    }
  }

  /** Lets it end with status 0, without us. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#send(leaving);
    this.#reader?.[Symbol.dispose]();
    if (this.#file !== null) closeSync(this.#file);
  }

  /** Hears no more of it; it waits for our end. */
  [Symbol.dispose](): void {
    this.#released = true;
    this.#reader?.[Symbol.dispose]();
  }

  #send(byte: string): void {
    try {
      writeSync(this.#fd, byte);
    } catch {
      // It is gone; its end tells.
    }
  }
}

const descriptor = '([3-9]|[1-9][0-9]{1,3})';
const named = new RegExp(`^(?:terminal:${descriptor}(?::${descriptor})?|background:${descriptor})$`);

const signals = new Map(
  (['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const).map((name) => [constants.signals[name], name]),
);

/**
 * Why a machine cannot be left running by whoever is in front of it, as the end of a sentence; null where it can.
 */
export function obstacleToLeaving(
  front: Front | null,
  { keepUnit, environment, terminals }: { keepUnit: boolean; environment: Environment; terminals: boolean },
): string | null {
  if (keepUnit) return 'it is a part of the unit that it was started in (--keep-unit)';
  if (front !== null) return null;
  if (environment['SYSTEMD_EXEC_PID'] === String(process.pid)) return 'vmspawn is the process of a unit';
  return terminals
    ? 'vmspawn-front, which takes a C compiler to build, is not there'
    : 'standard output is no terminal';
}
