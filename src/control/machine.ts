import type { RunStatus } from '../qemu/commands.ts';
import { QmpConnectionError } from '../qemu/errors.ts';
import type { Qmp } from '../qemu/qmp.ts';

/** What the control server needs of a machine. */
export interface ControlledMachine {
  /** QEMU's state (QAPI RunState) as `status`, and whether the guest's processors run. */
  describe(): Promise<RunStatus>;
  /** Asks the guest to power off, as a press of the power button; again, it is not less gentle. */
  powerOff(): void;
  /** Resets the machine at once, without asking the guest. */
  reboot(): Promise<void>;
  /** Ends the machine at once, without asking the guest. */
  terminate(): void;
}

/**
 * A machine whose QEMU does not run yet, in the words of QEMU. Whoever powers it off or terminates it makes `giveUp` be
 * called, with the beginning of a sentence.
 */
export function startingMachine(giveUp: (reason: string) => void): ControlledMachine {
  return {
    describe: async () => ({ running: false, status: 'prelaunch' }),
    powerOff: () => giveUp('A power-off was asked for'),
    reboot: async () => {
      throw new QmpConnectionError('QEMU does not run yet');
    },
    terminate: () => giveUp('The end of the machine was asked for'),
  };
}

/** A machine of a running QEMU. */
export function runningMachine(
  qmp: Pick<Qmp, 'execute'>,
  { powerOff, terminate }: Pick<ControlledMachine, 'powerOff' | 'terminate'>,
): ControlledMachine {
  return {
    describe: () => qmp.execute('query-status'),
    powerOff,
    reboot: () => qmp.execute('system_reset'),
    terminate,
  };
}
