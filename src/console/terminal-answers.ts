import { BackgroundAnswer, backgroundQuery, type Colour } from './background.ts';
import { LastAnswers, lastQuestions } from './last-answers.ts';
import { Pause } from './pause.ts';

/** Milliseconds for which a question counts as not answered yet. */
const UNANSWERED = 1000;

export interface AnswersOptions {
  /** Milliseconds that the terminal has to answer. */
  readonly time: number;
  /** Writes to the terminal. */
  readonly write: (text: string) => void;
}

/**
 * What the terminal itself sends, which comes between the keys: the answer to what we ask, which is nobody's input, and
 * those to what the guest asks, which are the guest's as long as it is there. An answer that comes when nobody reads for
 * it any more would be typed into the user's shell.
 */
export class TerminalAnswers implements Disposable {
  readonly #options: AnswersOptions;
  readonly #pause = new Pause();
  /** Takes our own answers out of what is typed. */
  #background: BackgroundAnswer | null = null;
  #tell: ((colour: Colour | null, typed: Buffer) => void) | null = null;
  #timer: NodeJS.Timeout | undefined;
  #asked = -Infinity;
  /** Of the guest, that went to the terminal; and when the latest did. */
  #questions = 0;
  #questioned = -Infinity;
  /** Takes the answers that nobody waits for any more. */
  #last: LastAnswers | null = null;
  #over = false;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /**
   * Asks the terminal for its background. `tell` is called once, with null when it does not say in time; then with the
   * beginning of a key, perhaps, which might have been that of an answer.
   */
  askBackground(tell: (colour: Colour | null, typed: Buffer) => void): void {
    this.#background = new BackgroundAnswer();
    this.#tell = tell;
    this.#asked = performance.now();
    this.#options.write(backgroundQuery);
    this.#timer = setTimeout(() => this.#told(null, this.#background?.flush()), this.#options.time);
  }

  /** Its background was asked for, and is waited for. */
  get asking(): boolean {
    return this.#tell !== null;
  }

  /** Does not wait for the background any longer. */
  giveUp(): void {
    this.#told(null);
  }

  #told(colour: Colour | null, typed: Buffer = Buffer.alloc(0)): void {
    clearTimeout(this.#timer);
    const tell = this.#tell;
    this.#tell = null;
    tell?.(colour, typed);
  }

  /** The guest has asked so many questions so far. */
  count(questions: number): void {
    if (questions === this.#questions) return;
    this.#questions = questions;
    this.#questioned = performance.now();
  }

  /** Milliseconds from now within which there may be answers to what was asked so far. */
  get within(): number {
    const asked = this.#background === null ? -Infinity : this.#asked;
    return Math.max(0, Math.max(asked, this.#questioned) + UNANSWERED - performance.now());
  }

  /** Takes what the terminal sent; gives what is for the guest. */
  push(chunk: Buffer): Buffer {
    if (this.#last !== null) {
      this.#last.push(chunk);
      if (this.#last.complete) this.#pause.end();
      return Buffer.alloc(0);
    }
    const background = this.#background;
    if (background === null) return chunk;
    const typed = background.push(chunk);
    if (background.complete) {
      this.#background = null;
      this.#pause.end();
    }
    if (this.asking) {
      if (background.complete || background.colour !== null) this.#told(background.colour);
      return typed;
    }
    // A key that looks like the beginning of an answer is not held back any more.
    return Buffer.concat([typed, background.flush()]);
  }

  /** Waits until no answer to a question of our own is under way. */
  async settleBackground(): Promise<void> {
    await this.#until(this.#background === null, this.#asked + this.#options.time);
  }

  /**
   * Waits for the answers to what the guest has asked right before its end, which are thrown away as all is that comes
   * meanwhile. Nobody knows how many these are, so the terminal is asked once more.
   */
  async settleLast(): Promise<void> {
    const last = new LastAnswers();
    this.#last = last;
    this.#questioned = performance.now();
    this.#options.write(lastQuestions);
    await this.#until(last.complete, performance.now() + this.#options.time);
  }

  /** The terminal sends nothing any more. */
  over(): void {
    this.#over = true;
    this.#pause.end();
  }

  async #until(done: boolean, deadline: number): Promise<void> {
    const left = deadline - performance.now();
    if (!done && !this.#over && left > 0) await this.#pause.wait(left);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#tell = null;
  }
}
