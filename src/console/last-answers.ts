/**
 * Two questions that each terminal answers, for its attributes (DA1) and whether it works (DSR 5): once both answers are here, one
 * right behind the other, those to all questions of before are. Either of them alone may be to a question of the guest's,
 * but not both: terminal-filter.ts lets no guest ask the second right behind the first.
 */
export const lastQuestions = '\x1b[c\x1b[5n';

const lastAnswers = /\x1b\[\?[0-9;]{0,64}c\x1b\[[03]n/;
const LONGEST = 80;

/** Waits for the answers to `lastQuestions` in what a terminal sends, in pieces of any size. */
export class LastAnswers {
  #tail = '';
  #complete = false;

  /** Both are here. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Takes what the terminal sent next. */
  push(chunk: Buffer): void {
    const text = this.#tail + chunk.toString('latin1');
    this.#complete ||= lastAnswers.test(text);
    this.#tail = text.slice(-LONGEST);
  }
}
