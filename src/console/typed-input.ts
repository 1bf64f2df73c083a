import type { Duplex } from 'node:stream';
import { type InputEndpoint, openInput } from './endpoint.ts';
import { type HotkeyAction, HotkeyDetector } from './input.ts';
import type { TerminalAnswers } from './terminal-answers.ts';

const READ_SIZE = 16 * 1024;
/** How much typed and pasted text is kept for a guest that does not read. What comes then is thrown away. */
const INPUT_LIMIT = 1024 * 1024;

export interface TypedInputEvents {
  /** The user has typed a hotkey. */
  onHotkey(action: HotkeyAction): void;
  /** The user's terminal hung up. */
  onTerminalClosed(): void;
  /** Input cannot be read. */
  onFailure(error: Error): void;
}

/**
 * What comes by the user's standard input on its way to the guest: without the hotkey and what is the terminal's own, where
 * it is a terminal.
 */
export class TypedInput implements Disposable {
  readonly #guest: Duplex;
  readonly #answers: TerminalAnswers;
  readonly #events: TypedInputEvents;
  readonly #endpoint: InputEndpoint;
  readonly #hotkey = new HotkeyDetector();
  readonly #buffer = Buffer.allocUnsafe(READ_SIZE);

  /** Reads nothing before `start`. Throws what `openInput` throws. */
  constructor(fd: number, guest: Duplex, answers: TerminalAnswers, events: TypedInputEvents) {
    this.#guest = guest;
    this.#answers = answers;
    this.#events = events;
    this.#endpoint = openInput(fd, () => this.#onInput());
  }

  /** Reads on. */
  start(): void {
    this.#endpoint.readiness.start();
  }

  stop(): void {
    this.#endpoint.readiness.stop();
  }

  /** A terminal is read on even though the guest does not read: the hotkey must work with a guest that hangs. */
  type(chunk: Uint8Array): void {
    const { forward, action } = this.#hotkey.push(chunk);
    if (this.#guest.writableLength + forward.length <= INPUT_LIMIT) this.#send(forward);
    if (action !== null) this.#events.onHotkey(action);
  }

  #onInput(): void {
    let length: number | null;
    try {
      length = this.#endpoint.read(this.#buffer);
    } catch (error) {
      this.#events.onFailure(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (length === null) return;
    if (length === 0) {
      this.stop();
      this.#answers.over();
      // The line discipline turns Ctrl-D into no end of file in raw mode: the terminal itself is gone.
      if (this.#endpoint.kind === 'terminal') this.#events.onTerminalClosed();
      return;
    }
    const chunk = this.#answers.push(this.#buffer.subarray(0, length));
    if (this.#endpoint.kind === 'terminal') this.type(chunk);
    else if (!this.#send(chunk)) this.stop();
  }

  /** False when the guest is to read first; 'drain' comes then. */
  #send(chunk: Uint8Array): boolean {
    if (chunk.length === 0 || !this.#guest.writable) return true;
    return this.#guest.write(Buffer.from(chunk));
  }

  [Symbol.dispose](): void {
    this.#endpoint[Symbol.dispose]();
  }
}
