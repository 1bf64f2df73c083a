import { programVersion } from '../assets.ts';
import { type ControlledMachine, startingMachine } from '../control/machine.ts';
import type { ControlServer } from '../control/server.ts';
import { FileError } from '../errors.ts';

/**
 * The machine as others control it, from the moment on that there is a plan: by its varlink socket, and by signals that
 * come in through machined. Before QEMU runs there is only the start, which can be given up. Disposal closes the socket.
 */
export class MachineControl implements AsyncDisposable {
  #machine: ControlledMachine;
  #server: ControlServer | null = null;

  constructor(giveUp: (reason: string) => void) {
    this.#machine = startingMachine(giveUp);
  }

  get machine(): ControlledMachine {
    return this.#machine;
  }

  /** Listens on a socket at `path`. Throws FileError. */
  async open(path: string): Promise<void> {
    // Loaded only now: it costs a few milliseconds, which pass while QEMU starts where nobody waits for the socket.
    const { serveControl } = await import('../control/server.ts');
    try {
      this.#server = await serveControl({ path, version: programVersion(), machine: this.#machine });
    } catch (error) {
      throw new FileError(`The control socket ${path} cannot be made`, { cause: error });
    }
  }

  /** From now on it is a running machine. */
  attach(machine: ControlledMachine): void {
    this.#machine = machine;
    this.#server?.attach(machine);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }
}
