import { fstatSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { DisposalStack, type Owned } from '../disposal.ts';
import { isTerminal } from '../sys/stdio.ts';
import { tintFor } from './background.ts';
import { OutputClosedError } from './endpoint.ts';
import { GuestOutput } from './guest-output.ts';
import type { WindowSize } from './hub.ts';
import type { HotkeyAction } from './input.ts';
import { type Look, plainLook } from './look.ts';
import { ConsoleOutput } from './output.ts';
import { Pause } from './pause.ts';
import { ShownWindow } from './shown-window.ts';
import { TerminalAnswers } from './terminal-answers.ts';
import { pushedTitles } from './terminal-filter.ts';
import { enterRawMode, enterRawOutputMode } from './terminal-mode.ts';
import { TypedInput } from './typed-input.ts';
import type { Undo } from './undo.ts';

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
  readonly onSize?: (size: WindowSize) => void;
  /** Told, each time before that is written which changes it, what puts the terminal back if we are killed. */
  readonly onUndo?: (undo: Undo) => void;
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
  /** In place of `answerTime`. */
  readonly answerTime?: number;
  /** In place of `lastTime`. */
  readonly lastTime?: number;
}

/** Milliseconds that a terminal has to answer. One at the other end of the world may take longer. */
export const answerTime = 200;
/** Milliseconds without a word after which the guest is taken to have no more to say. */
const QUIET = 30;
/** Milliseconds that a terminal has, on the way out, to take what waits for it; and then twice as many for the last words. */
const lastTime = 100;

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
  readonly #input: TypedInput | null = null;
  /** What is done to the guest's words; null before the beginning, and where standard output is no terminal. */
  #screen: GuestOutput | null = null;
  readonly #answers: TerminalAnswers;
  #window: ShownWindow | null = null;
  #terminalInput = false;
  readonly #stack = new DisposalStack();
  #received = 0;
  #lastByte = 0x0a;
  #consoleOver = false;
  #ended = false;
  #leaving = false;
  /** Nothing of the guest is shown any more. */
  #silent = false;
  /** How many bytes of before are still to come. */
  #past: number;
  /** Titles of the guest's that are pushed in the terminal, as far as was told. */
  #titles = 0;
  /** Titles that the guest has pushed in what was dropped; null when nothing was. */
  #lostTitles: number | null = null;
  #untouched = false;
  readonly #pause = new Pause();
  #disposal: Promise<void> | undefined;

  constructor(options: ForwardOptions) {
    this.#options = options;
    this.#console = options.console;
    this.#past = options.history ?? 0;
    const { input, output, mode } = options;
    const write = (text: string) => {
      this.#tellUndo();
      this.#output?.write(Buffer.from(text));
    };
    this.#answers = this.#stack.use(new TerminalAnswers({ time: this.#answerTime, write }));
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
        this.#input = this.#stack.use(
          new TypedInput(input, this.#console, this.#answers, {
            onHotkey: (action) => this.#onHotkey(action),
            onTerminalClosed: () => this.#end({ reason: 'terminal-closed' }),
            onFailure: (error) => this.#end({ reason: 'failed', error }),
          }),
        );
        this.#input.start();
      }
    } catch (error) {
      // Nothing in the stack waits for anything: it is empty before the caller's next await is over.
      void this.#stack[Symbol.asyncDispose]();
      throw error;
    }
    this.#listen();
    if (this.#output?.isTerminal) this.#showWindow();
  }

  #showWindow(): void {
    const { output, onSize = () => {} } = this.#options;
    const onChange = () => this.#screen?.resized();
    this.#window = this.#stack.use(new ShownWindow(output, { onSize, onChange }));
    this.#window.tell();
  }

  #enterModes(): void {
    const { input, output, mode } = this.#options;
    const beforeRestore = () => {
      const [screen, output] = [this.#screen, this.#output];
      if (screen === null || output === null) return;
      if (!output.flushNow(this.#lastTime)) this.#drop();
      const end = this.#lostTitles === null ? screen.end() : screen.endOfAny(this.#lostTitles);
      // The shell's prompt gets a line of its own.
      const lineFeed = this.#lastByte === 0x0a ? '' : '\r\n';
      output.write(Buffer.from(`${end}${lineFeed}${this.#look.end()}`));
      output.flushNow(2 * this.#lastTime);
    };
    const afterResume = () => {
      const [screen, window] = [this.#screen, this.#window];
      if (screen === null || window === null) return;
      // Nobody tells a stopped job that its window has another size now.
      window.look();
      this.#lostTitles = null;
      this.#output?.write(Buffer.from(`${this.#look.start}${screen.again(window.rows)}`));
      if (screen.alternate) window.redraw();
      else window.tell();
    };
    const unwantedInput = () =>
      this.#answers.within > 0 || (this.#screen !== null && this.#screen.stopReports() !== '');
    const shows = { beforeRestore, afterResume };
    this.#terminalInput = mode === 'interactive' && input !== null && isTerminal(input);
    const rawInput = this.#terminalInput ? input : null;
    const toTerminal = this.#output?.isTerminal === true;
    const same = toTerminal && rawInput !== null && fstatSync(rawInput).rdev === fstatSync(output).rdev;
    if (rawInput !== null)
      this.#stack.use(enterRawMode(rawInput, same ? { ...shows, unwantedInput } : { unwantedInput }));
    if (toTerminal && !same) this.#stack.use(enterRawOutputMode(output, shows));
  }

  #listen(): void {
    const source = this.#console;
    const onData = (chunk: Buffer) => this.#onData(chunk);
    const onOver = () => this.#onConsoleOver();
    const onWritable = () => {
      if (!this.#ended) this.#input?.start();
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
    return this.#options.answerTime ?? answerTime;
  }

  get #lastTime(): number {
    return this.#options.lastTime ?? lastTime;
  }

  get #look(): Look {
    return this.#options.look ?? plainLook;
  }

  #ask(): void {
    this.#console.pause();
    this.#answers.askBackground((colour, typed) => {
      this.#begin(colour === null ? null : tintFor(colour));
      this.#input?.type(typed);
    });
  }

  /** From now on the guest is shown. */
  #begin(tint: string | null): void {
    if (this.#output?.isTerminal) {
      const mode = this.#past > 0 && this.#mode === 'interactive' ? 'replay' : this.#mode;
      this.#screen = new GuestOutput({ tint, mode, allow: this.#look.allow, dumb: this.#look.dumb });
      this.#untouched = this.#screen.untouched;
      this.#tellUndo();
      const start = `${this.#look.start}${this.#screen.start()}`;
      if (start !== '') this.#output.write(Buffer.from(start));
    }
    if (!this.#consoleOver) this.#console.resume();
  }

  #tellUndo(): void {
    // CAN does nothing; but what the terminal answers now is for nobody.
    const end = this.#screen === null ? '\x18' : this.#screen.endOfAny();
    const text = this.#screen === null || end === '' ? end : `${end}\r\n${this.#look.end()}`;
    this.#options.onUndo?.({ text, answerTime: this.#answerTime });
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
    const screen = this.#screen;
    const shown = screen === null ? chunk : screen.push(chunk);
    if (screen !== null) {
      this.#answers.count(screen.questions);
      if (screen.titles !== this.#titles || screen.untouched !== this.#untouched) {
        this.#titles = screen.titles;
        this.#untouched = screen.untouched;
        this.#tellUndo();
      }
    }
    if (shown.length > 0 && this.#output?.write(shown) === false) this.#console.pause();
  }

  get #mode(): 'interactive' | 'read-only' {
    return this.#terminalInput && !this.#leaving ? 'interactive' : 'read-only';
  }

  #onDrain(): void {
    if (this.#consoleOver) this.#end({ reason: 'console-closed' });
    else if (!this.#answers.asking && !this.#silent) this.#console.resume();
    this.#pause.end();
  }

  #onConsoleOver(): void {
    this.#consoleOver = true;
    // At the end answers are read, and by nobody else.
    if (!this.#leaving) this.#input?.stop();
    if (this.#output === null || this.#output.idle) this.#end({ reason: 'console-closed' });
    this.#pause.end();
  }

  #onOutputFailure(error: Error): void {
    this.#end(error instanceof OutputClosedError ? { reason: 'output-closed' } : { reason: 'failed', error });
    this.#console.resume();
    this.#pause.end();
  }

  #onHotkey(action: HotkeyAction): void {
    if (!this.#ended) queueMicrotask(() => this.#options.onEnd({ reason: 'hotkey', action }));
  }

  #end(end: ForwardEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#input?.stop();
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
    this.#input?.stop();
    this.#answers.giveUp();
    if (this.#screen !== null) this.#screen.mode = this.#mode;
    try {
      await this.#whileRead(() => this.#answers.settleBackground());
      await this.#drain();
      this.#silent = true;
      this.#console.pause();
      await this.#empty();
      const answerable = this.#terminalInput && this.#output?.idle === true;
      const stop = this.#screen?.stopReports() ?? '';
      if (answerable && (stop !== '' || this.#answers.within > 0)) {
        // What the terminal reports until it is told not to would be typed into the user's shell, as its answers would.
        if (stop !== '') this.#output?.write(Buffer.from(`\x18${stop}`));
        await this.#whileRead(() => this.#answers.settleLast());
      }
    } finally {
      await this.#stack[Symbol.asyncDispose]();
    }
  }

  /** The terminal is read meanwhile. */
  async #whileRead(settle: () => Promise<void>): Promise<void> {
    this.#input?.start();
    await settle();
    this.#input?.stop();
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
      const woken = await this.#pause.wait(Math.min(QUIET, left));
      if (!woken && this.#output.idle && this.#received === before) return;
    }
  }

  /** Until the terminal has taken all that waits, or it is dropped, so that there is room for the last words. */
  async #empty(): Promise<void> {
    const output = this.#output;
    if (output === null || this.#screen === null) return;
    const deadline = performance.now() + 3 * this.#lastTime;
    while (!output.idle) {
      const left = deadline - performance.now();
      if (left <= 0) this.#drop();
      else await this.#pause.wait(left);
    }
  }

  #drop(): void {
    if (this.#output === null) return;
    const { bytes, sent } = this.#output.drop();
    this.#lostTitles = (this.#lostTitles ?? 0) + pushedTitles(bytes, sent);
  }
}
