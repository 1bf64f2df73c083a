/** What puts the terminal back, for somebody who does so if we are killed. */
export interface Undo {
  /** To be written to the terminal, whatever of what was written before has reached it; empty for nothing. */
  readonly text: string;
  /** Milliseconds that it has, once all is written, for the last of its answers and reports. */
  readonly answerTime: number;
}
