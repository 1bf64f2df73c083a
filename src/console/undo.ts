/** What puts the terminal back, for somebody who does so if we are killed. */
export interface Undo {
  /** To be written to the terminal, whatever of what was written before has reached it. */
  readonly text: string;
  /** Milliseconds from now within which the terminal may answer what it was asked; 0 when nothing was asked. */
  readonly answersWithin: number;
  /** Milliseconds that it has, once all is written, for the last of its answers. */
  readonly answerTime: number;
}
