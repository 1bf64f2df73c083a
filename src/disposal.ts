/** Somebody who owns something and gives it back. What every maker of a socket, child, lock or mode hands out. */
export interface Owned extends AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Owned things in the order in which they were made, given back in reverse order. Stands in for AsyncDisposableStack,
 * which Node has from version 24 on only.
 */
export class DisposalStack implements AsyncDisposable {
  readonly #entries: Array<() => void | PromiseLike<void>> = [];

  /** Takes `resource` over and returns it. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(() =>
      Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose](),
    );
    return resource;
  }

  /** Runs `action` when the stack is disposed of. */
  defer(action: () => void | PromiseLike<void>): void {
    this.#entries.push(action);
  }

  /** Moves everything to a new stack, so that a maker can keep what it made once nothing can fail any more. */
  move(): DisposalStack {
    const moved = new DisposalStack();
    moved.#entries.push(...this.#entries.splice(0));
    return moved;
  }

  /** Every entry is run, even when an earlier one fails; the first failure is thrown afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      try {
        await entry();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
