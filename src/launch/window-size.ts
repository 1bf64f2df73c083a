import type { Duplex } from 'node:stream';
import type { WindowSize } from '../console/hub.ts';

/** Milliseconds between two sizes that are passed on: whoever drags a window's corner makes hundreds. */
const interval = 50;

/** Tells the guest how large the console's window is (plan/window-size.ts), the latest word only and never too often. */
export class WindowSizePort implements Disposable {
  readonly #port: Duplex;
  #latest: WindowSize | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** Takes our end of the port over. */
  constructor(port: Duplex) {
    this.#port = port;
    // What the guest says here means nothing, and a port that fails costs no more than the size.
    port.resume().on('error', () => {});
  }

  tell(size: WindowSize): void {
    this.#latest = size;
    this.#timer ??= setTimeout(() => this.#send(), interval).unref();
  }

  #send(): void {
    this.#timer = undefined;
    if (this.#latest === null || !this.#port.writable) return;
    if (this.#port.writableLength > 0) {
      this.tell(this.#latest);
      return;
    }
    const { rows, columns } = this.#latest;
    this.#latest = null;
    this.#port.write(`${rows} ${columns}\n`);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#latest = null;
    this.#port.destroy();
  }
}
