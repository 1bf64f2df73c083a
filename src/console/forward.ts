import { fstatSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { DisposalStack, type Owned } from '../disposal.ts';
import { isTerminal, terminalSize } from '../sys/stdio.ts';
import { BackgroundAnswer, backgroundQuery, tintFor } from './background.ts';
import { type InputEndpoint, OutputClosedError, openInput } from './endpoint.ts';
import { GuestOutput } from './guest-output.ts';
import { type HotkeyAction, HotkeyDetector } from './input.ts';
import { LastAnswers, lastQuestions } from './last-answers.ts';
import { type Look, plainLook } from './look.ts';
import { ConsoleOutput } from './output.ts';
import { enterRawMode, enterRawOutputMode } from './terminal-mode.ts';

/**
 * What ended forwarding. `hotkey`: the user has typed one. `console-closed`: the guest's side is gone and all
 * of it is written out. `output-closed`: nobody reads standard output any more. `terminal-closed`: the user's terminal
 * hung up. `aborted`: by the signal. `failed`: standard output cannot be written (ENOSPC) or input cannot be read.
 */
export type ForwardEnd =
  | { readonly reason: 'hotkey'; readonly action: HotkeyAction }
  | { readonly reason: 'console-closed' | 'output-closed' | 'terminal-closed' | 'aborted' }
  | { readonly reason: 'failed'; readonly error: Error };

export interface ForwardOptions {
  /** The guest's console. Stays the caller's; it is read from and written to until disposal. */
  readonly console: Duplex;
  /** How many bytes of it, at first, were written before; nobody waits for the terminal's answers to them. 0 unless told. */
  readonly history?: number;
  /** Told the size of the window that shows the console, at first and when it changes. */
  readonly onSize?: (size: { readonly rows: number; readonly columns: number }) => void;
  /**
   * Told, before anything is written for the guest, what puts the terminal back whatever the guest will have done: for
   * somebody who does so if we are killed.
   */
  readonly onBegin?: (undo: string) => void;
  /** The user's standard input; null for none. Ignored, like the hotkey, when the mode is read-only. */
  readonly input: number | null;
  /** The user's standard output. */
  readonly output: number;
  readonly mode: 'interactive' | 'read-only';
  /** Counts where standard output is a terminal. */
  readonly look?: Look;
  /**
   * Called once when forwarding is over; for `hotkey` each time, since forwarding goes on then: what the guest says
   * while it goes down is worth seeing, and the user may press again.
   */
  readonly onEnd: (end: ForwardEnd) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds that disposal waits until all that the guest wrote is out. */
  readonly drainTimeout?: number;
  /** Milliseconds that a terminal has to tell its background. */
  readonly answerTime?: number;
}

const READ_SIZE = 16 * 1024;
/** How much typed and pasted text is kept for a guest that does not read. What comes then is thrown away. */
const INPUT_LIMIT = 1024 * 1024;
/** One at the other end of the world may answer later. */
const ANSWER_TIME = 200;
/** Milliseconds for which a question of the guest's counts as not answered yet. */
const UNANSWERED = 1000;
/** Milliseconds that the guest has to see a size that is not that of the window. */
const OTHER_SIZE = 200;
/** Milliseconds without a word after which the guest is taken to have no more to say. */
const QUIET = 30;

/**
 * Connects the user's terminal, or whatever standard input and output are, with a guest's console. Pipes and files get the
 * bytes unchanged; on their way to a terminal they are tinted and filtered (guest-output.ts). An interactive terminal is
 * raw until disposal, and the hotkey works there (in a pipe these bytes are data). The end of a piped input ends the input
 * only. When standard output is slow the console is not read meanwhile; once it is closed, what the guest writes is thrown
 * away, so that the guest does not hang in it. Disposal writes out what the guest has written so far, within a time limit,
 * and puts the terminal back; it leaves the console paused. Throws SystemCallError.
 */
export function forwardConsole(options: ForwardOptions): Owned {
  return new Forwarder(options);
}

class Forwarder implements Owned {
  readonly #options: ForwardOptions;
  readonly #console: Duplex;
  readonly #output: ConsoleOutput | null = null;
  readonly #input: InputEndpoint | null = null;
  readonly #hotkey = new HotkeyDetector();
  /** What is done to the guest's words; null before the beginning, and where standard output is no terminal. */
  #screen: GuestOutput | null = null;
  /** Takes the terminal's answers out of what is typed. */
  #answer: BackgroundAnswer | null = null;
  #asking: NodeJS.Timeout | undefined;
  #asked = 0;
  /** Of the guest, that went to the terminal; and when the latest did. */
  #questions = 0;
  #questioned = -Infinity;
  /** Takes the answers that nobody waits for any more. */
  #lastAnswers: LastAnswers | null = null;
  #terminalInput = false;
  readonly #buffer = Buffer.allocUnsafe(READ_SIZE);
  readonly #stack = new DisposalStack();
  #received = 0;
  #lastByte = 0x0a;
  #consoleOver = false;
  #ended = false;
  #leaving = false;
  /** How many bytes of before are still to come. */
  #past: number;
  /** Tell the guest the window's size, and another one before, at which what has the whole screen draws it once more. */
  #resized: () => void = () => {};
  #redraw: () => void = () => {};
  #wake: () => void = () => {};
  #disposal: Promise<void> | undefined;

  constructor(options: ForwardOptions) {
    this.#options = options;
    this.#console = options.console;
    this.#past = options.history ?? 0;
    const { input, output, mode } = options;
    try {
      try {
        this.#output = this.#stack.use(
          new ConsoleOutput(output, {
            onDrain: () => this.#onDrain(),
            onFailure: (error) => this.#onOutputFailure(error),
          }),
        );
      } catch (error) {
        if (!(error instanceof OutputClosedError)) throw error;
        this.#end({ reason: 'output-closed' });
      }
      this.#enterModes();
      if (mode === 'interactive' && input !== null) {
        this.#input = this.#stack.use(openInput(input, () => this.#onInput()));
        this.#input.readiness.start();
      }
    } catch (error) {
      // Nothing in the stack waits for anything: it is empty before the caller's next await is over.
      void this.#stack[Symbol.asyncDispose]();
      throw error;
    }
    this.#listen();
    if (this.#output?.isTerminal) this.#followSize();
  }

  #followSize(): void {
    const { output, onSize } = this.#options;
    if (onSize === undefined) return;
    let waiting: NodeJS.Timeout | undefined;
    const tell = () => {
      clearTimeout(waiting);
      const size = terminalSize(output);
      if (size !== null) onSize(size);
    };
    this.#resized = tell;
    this.#redraw = () => {
      const size = terminalSize(output);
      if (size !== null) onSize({ ...size, rows: size.rows === 1 ? 2 : size.rows - 1 });
      waiting = setTimeout(tell, OTHER_SIZE);
    };
    process.on('SIGWINCH', tell);
    this.#stack.defer(() => {
      clearTimeout(waiting);
      process.off('SIGWINCH', tell);
      this.#resized = this.#redraw = () => {};
    });
    tell();
  }

  #enterModes(): void {
    const { input, output, mode } = this.#options;
    const beforeRestore = () => {
      if (this.#screen === null || this.#output === null) return;
      // The shell's prompt gets a line of its own.
      const lineFeed = this.#lastByte === 0x0a ? '' : '\r\n';
      this.#output.writeNow(`${this.#screen.end()}${lineFeed}${this.#look.end()}`);
    };
    const afterResume = () => {
      if (this.#screen === null) return;
      this.#output?.write(Buffer.from(`${this.#look.start}${this.#screen.again()}`));
      // Nobody tells a stopped job that its window has another size now.
      if (this.#screen.alternate) this.#redraw();
      else this.#resized();
    };
    const shows = { beforeRestore, afterResume };
    this.#terminalInput = mode === 'interactive' && input !== null && isTerminal(input);
    const rawInput = this.#terminalInput ? input : null;
    const toTerminal = this.#output?.isTerminal === true;
    const same = toTerminal && rawInput !== null && fstatSync(rawInput).rdev === fstatSync(output).rdev;
    if (rawInput !== null) this.#stack.use(enterRawMode(rawInput, same ? shows : {}));
    if (toTerminal && !same) this.#stack.use(enterRawOutputMode(output, shows));
  }

  #listen(): void {
    const source = this.#console;
    const onData = (chunk: Buffer) => this.#onData(chunk);
    const onOver = () => this.#onConsoleOver();
    const onWritable = () => {
      if (!this.#ended) this.#input?.readiness.start();
    };
    const onAbort = () => this.#end({ reason: 'aborted' });
    const { signal } = this.#options;
    source.on('end', onOver);
    source.on('close', onOver);
    // Stays: a connection that is reset later on must not end the process.
    source.on('error', onOver);
    source.on('drain', onWritable);
    source.on('data', onData);
    signal?.addEventListener('abort', onAbort);
    this.#stack.defer(() => {
      source.off('end', onOver).off('close', onOver).off('drain', onWritable).off('data', onData);
      signal?.removeEventListener('abort', onAbort);
      source.pause();
    });
    if (signal?.aborted) onAbort();
    // Nothing of the guest is shown before the terminal has told its background, or had the time to.
    if (this.#look.tint === 'ask' && this.#terminalInput && this.#output?.isTerminal) this.#ask();
    else this.#begin(this.#look.tint === 'ask' ? null : this.#look.tint);
    if (source.destroyed || source.readableEnded) onOver();
  }

  get #answerTime(): number {
    return this.#options.answerTime ?? ANSWER_TIME;
  }

  get #look(): Look {
    return this.#options.look ?? plainLook;
  }

  #ask(): void {
    this.#answer = new BackgroundAnswer();
    this.#console.pause();
    this.#output?.write(Buffer.from(backgroundQuery));
    this.#asked = performance.now();
    this.#asking = setTimeout(() => {
      this.#begin(null);
      // A lone ESC was a key.
      if (this.#answer !== null) this.#type(this.#answer.flush());
    }, this.#answerTime);
  }

  /** From now on the guest is shown. */
  #begin(tint: string | null): void {
    clearTimeout(this.#asking);
    this.#asking = undefined;
    if (this.#output?.isTerminal) {
      const mode = this.#past > 0 && this.#mode === 'interactive' ? 'replay' : this.#mode;
      this.#screen = new GuestOutput({ tint, mode, allow: this.#look.allow });
      this.#options.onBegin?.(`${this.#screen.endOfAny()}\r\n${this.#look.end()}`);
      const start = `${this.#look.start}${this.#screen.start()}`;
      if (start !== '') this.#output.write(Buffer.from(start));
    }
    if (!this.#consoleOver) this.#console.resume();
  }

  #onData(chunk: Buffer): void {
    this.#received += chunk.length;
    this.#lastByte = chunk.at(-1) ?? this.#lastByte;
    if (this.#output === null) return;
    const past = this.#past;
    if (past > 0 && this.#screen !== null) {
      this.#past = Math.max(0, past - chunk.length);
      this.#show(chunk.subarray(0, past));
      if (this.#past === 0) this.#screen.mode = this.#mode;
      if (chunk.length > past) this.#show(chunk.subarray(past));
    } else this.#show(chunk);
  }

  #show(chunk: Buffer): void {
    const shown = this.#screen === null ? chunk : this.#screen.push(chunk);
    if (this.#screen !== null && this.#screen.questions !== this.#questions) {
      this.#questions = this.#screen.questions;
      this.#questioned = performance.now();
    }
    if (shown.length > 0 && this.#output?.write(shown) === false) this.#console.pause();
  }

  get #mode(): 'interactive' | 'read-only' {
    return this.#terminalInput && !this.#leaving ? 'interactive' : 'read-only';
  }

  #onDrain(): void {
    if (this.#consoleOver) this.#end({ reason: 'console-closed' });
    else if (this.#asking === undefined) this.#console.resume();
    this.#wake();
  }

  #onConsoleOver(): void {
    this.#consoleOver = true;
    this.#input?.readiness.stop();
    if (this.#output === null || this.#output.idle) this.#end({ reason: 'console-closed' });
    this.#wake();
  }

  #onOutputFailure(error: Error): void {
    this.#end(error instanceof OutputClosedError ? { reason: 'output-closed' } : { reason: 'failed', error });
    this.#console.resume();
    this.#wake();
  }

  #onInput(): void {
    const input = this.#input;
    if (input === null) return;
    let length: number | null;
    try {
      length = input.read(this.#buffer);
    } catch (error) {
      this.#end({ reason: 'failed', error: error instanceof Error ? error : new Error(String(error)) });
      return;
    }
    if (length === null) return;
    if (length === 0) {
      input.readiness.stop();
      this.#wake();
      // The line discipline turns Ctrl-D into no end of file in raw mode: the terminal itself is gone.
      if (input.kind === 'terminal') this.#end({ reason: 'terminal-closed' });
      return;
    }
    if (this.#lastAnswers !== null) {
      this.#lastAnswers.push(this.#buffer.subarray(0, length));
      this.#wake();
      return;
    }
    const chunk = this.#typed(this.#buffer.subarray(0, length));
    if (input.kind === 'terminal') this.#type(chunk);
    else if (!this.#send(chunk)) input.readiness.stop();
  }

  /** What the user has typed: without the terminal's own answers, which may come late. */
  #typed(chunk: Buffer): Buffer {
    const answer = this.#answer;
    if (answer === null) return chunk;
    const typed = answer.push(chunk);
    if (answer.complete) {
      this.#answer = null;
      this.#wake();
    }
    if (this.#asking !== undefined) {
      if (!answer.complete && answer.colour === null) return typed;
      this.#begin(answer.colour === null ? null : tintFor(answer.colour));
      return typed;
    }
    // A key that looks like the beginning of an answer is not held back any more.
    return Buffer.concat([typed, answer.flush()]);
  }

  /** A terminal is read on even though the guest does not read: the hotkey must work with a guest that hangs. */
  #type(chunk: Uint8Array): void {
    const { forward, action } = this.#hotkey.push(chunk);
    if (this.#console.writableLength + forward.length <= INPUT_LIMIT) this.#send(forward);
    if (action !== null && !this.#ended) {
      queueMicrotask(() => this.#options.onEnd({ reason: 'hotkey', action }));
    }
  }

  /** False when the guest is to read first; 'drain' comes then. */
  #send(chunk: Uint8Array): boolean {
    if (chunk.length === 0 || !this.#console.writable) return true;
    return this.#console.write(Buffer.from(chunk));
  }

  #end(end: ForwardEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#input?.readiness.stop();
    queueMicrotask(() => this.#options.onEnd(end));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    // The owner is leaving by itself: nothing is reported from here on.
    this.#ended = true;
    this.#leaving = true;
    this.#input?.readiness.stop();
    if (this.#asking !== undefined) this.#begin(null);
    if (this.#screen !== null) this.#screen.mode = this.#mode;
    try {
      await this.#takeAnswer();
      await this.#drain();
      await this.#takeLastAnswers();
    } finally {
      await this.#stack[Symbol.asyncDispose]();
    }
  }

  /** An answer that is still under way would be typed into the user's shell. */
  async #takeAnswer(): Promise<void> {
    const deadline = this.#asked + this.#answerTime;
    for (;;) {
      const left = deadline - performance.now();
      if (this.#answer === null || left <= 0) break;
      this.#input?.readiness.start();
      await this.#pause(left);
    }
    this.#input?.readiness.stop();
  }

  /** As those to what the guest has asked right before the end would be; nobody knows how many these are. */
  async #takeLastAnswers(): Promise<void> {
    const input = this.#input;
    const recent = performance.now() - this.#questioned < UNANSWERED;
    if (input === null || !this.#terminalInput || !this.#output?.idle || !recent) return;
    this.#lastAnswers = new LastAnswers();
    this.#output.write(Buffer.from(lastQuestions));
    const deadline = performance.now() + this.#answerTime;
    input.readiness.start();
    while (!this.#lastAnswers.complete) {
      const left = deadline - performance.now();
      if (left <= 0 || !(await this.#pause(left))) break;
    }
    input.readiness.stop();
  }

  /** Until the guest's side is over, or was silent for a moment, and all of it is out; or time is. */
  async #drain(): Promise<void> {
    const deadline = performance.now() + (this.#options.drainTimeout ?? 2000);
    for (;;) {
      const idle = this.#output === null || this.#output.idle;
      if (this.#output === null || (this.#consoleOver && idle)) return;
      const left = deadline - performance.now();
      if (left <= 0) return;
      const before = this.#received;
      const woken = await this.#pause(Math.min(QUIET, left));
      if (!woken && this.#output.idle && this.#received === before) return;
    }
  }

  /** Waits; true when something happened before the time was over. */
  #pause(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(true);
      };
    });
  }
}
