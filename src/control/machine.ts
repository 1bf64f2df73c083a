import type { ConsoleHub } from '../console/hub.ts';
import type { RunStatus } from '../qemu/commands.ts';
import { QmpConnectionError } from '../qemu/errors.ts';
import type { Qmp } from '../qemu/qmp.ts';
import type { MachineEnd } from './console-frames.ts';

/** A console that can be attached to. */
export interface KeptConsole {
  readonly hub: ConsoleHub;
  /** Settles when the machine has ended. Never rejects. */
  readonly ended: Promise<MachineEnd>;
}

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
  /** Null where QEMU or a window has it. Throws QmpConnectionError before QEMU runs. */
  console(): KeptConsole | null;
}

/**
 * A machine whose QEMU does not run yet, in the words of QEMU. Whoever powers it off or terminates it makes `giveUp` be
 * called, with the beginning of a sentence.
 */
export function startingMachine(giveUp: (reason: string) => void): ControlledMachine {
  return {
    describe: async () => ({ running: false, status: 'prelaunch' }),
    powerOff: () => giveUp('A power-off was asked for'),
    reboot: async () => notYet(),
    terminate: () => giveUp('The end of the machine was asked for'),
    console: notYet,
  };
}

function notYet(): never {
  throw new QmpConnectionError('QEMU does not run yet');
}

/** A machine of a running QEMU. */
export function runningMachine(
  qmp: Pick<Qmp, 'execute'>,
  { powerOff, terminate, console }: Pick<ControlledMachine, 'powerOff' | 'terminate' | 'console'>,
): ControlledMachine {
  return {
    describe: () => qmp.execute('query-status'),
    powerOff,
    reboot: () => qmp.execute('system_reset'),
    terminate,
    console,
  };
}
