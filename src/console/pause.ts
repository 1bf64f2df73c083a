/** One who waits for something to happen, or for the time to be over. */
export class Pause {
  #end: () => void = () => {};

  /** Waits; true when `end` was called before so many milliseconds were over. One wait at a time. */
  wait(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), milliseconds);
      this.#end = () => {
        clearTimeout(timer);
        this.#end = () => {};
        resolve(true);
      };
    });
  }

  /** Something has happened. */
  end(): void {
    this.#end();
  }
}
