import { fstatSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { Environment } from '../host/identity.ts';
import { type PipeReader, readPipe } from '../sys/pipe-reader.ts';

/** Names our end of the socket to whoever stands in front of us: `terminal:FD` or `background:FD`. */
export const frontVariable = 'VMSPAWN_FRONT';

/** Bytes that go to the front (src/child/front.c); what comes from it are the numbers of signals. */
const listening = 'l';
export const leaving = 'd';
const undoing = 't';

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
  #reader: PipeReader | null = null;
  #released = false;

  private constructor(kind: Front['kind'], fd: number) {
    this.kind = kind;
    this.#fd = fd;
  }

  /** The front that the environment names, which then names it to nobody else; null for none. */
  static take(environment: { [name: string]: string | undefined }): Front | null {
    const words = /^(terminal|background):([3-9]|[1-9][0-9]{1,3})$/.exec(environment[frontVariable] ?? '');
    delete environment[frontVariable];
    const fd = Number(words?.[2]);
    try {
      if (words === null || !fstatSync(fd).isSocket()) return null;
    } catch {
      return null;
    }
    return new Front(words[1] === 'terminal' ? 'terminal' : 'background', fd);
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

  /** What it is to write to the terminal if we are killed, beside putting back the modes. */
  prepareForDeath(undo: string): void {
    if (this.kind === 'terminal') this.#send(`${undoing}${undo}\0`);
  }

  /** Lets it end with status 0, without us. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#send(leaving);
    this.#reader?.[Symbol.dispose]();
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
