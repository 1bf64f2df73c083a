import type { Environment } from '../host/identity.ts';
import type { RunningMachine } from '../launch/running-machine.ts';
import { notifyManager } from '../sys/notify.ts';

/**
 * Word to the service manager that started us (sd_notify(3)), where there is one. A manager that does not listen is
 * no reason to stop.
 */
export class ManagerNotifier {
  readonly #address: string | undefined;

  constructor(environment: Environment) {
    this.#address = environment['NOTIFY_SOCKET'];
  }

  /** The machine's processors run. */
  ready(machine: RunningMachine): void {
    this.#send([
      `STATUS=The machine ${machine.plan.machine} runs.`,
      `X_VMSPAWN_LEADER_PID=${machine.pid}`,
      'READY=1',
    ]);
  }

  /** The machine is asked to end. */
  stopping(): void {
    this.#send(['STOPPING=1', 'STATUS=The machine is being shut down.']);
  }

  /** The exit status that we are about to have. */
  exiting(status: number): void {
    this.#send([`EXIT_STATUS=${status}`]);
  }

  #send(lines: readonly string[]): void {
    if (this.#address === undefined || this.#address === '') return;
    try {
      notifyManager(this.#address, lines);
    } catch {
      // Nobody there: a NOTIFY_SOCKET inherited from a unit that is gone.
    }
  }
}
