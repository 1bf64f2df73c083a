import type { ExitStatus } from '../child/early-child.ts';
import type { PlannedAuxiliary } from '../plan/plan.ts';

/** A daemon beside QEMU that has been started. Disposal ends it and waits until it is gone. */
export interface RunningAuxiliary extends AsyncDisposable {
  readonly plan: PlannedAuxiliary;
  /** The unit that it runs in, or null for a child of ours. */
  readonly unit: string | null;
  /** How it ended ("exit status 1", "signal SIGKILL"); settles on every end, also one that we asked for. */
  readonly ended: Promise<string>;
  /** Its last lines of output, fit for a terminal; may be empty. Never rejects. */
  lastWords(): Promise<string>;
}

/** The process that becomes QEMU, as a manager needs it. */
export interface LeaderCandidate {
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  kill(signal: NodeJS.Signals): void;
}

/** What somebody wants of the machine who has only signals to say it with (machinectl before systemd 261). */
export type MachineRequest = 'power-off' | 'reboot';

/** Whoever looks after a machine besides us: a service manager, or nobody. Disposal takes the machine out again. */
export interface Manager extends AsyncDisposable {
  /** Waits until nothing is left of a machine of this name whose supervisor was killed. Throws ManagerError. */
  clear(signal: AbortSignal): Promise<void>;
  /**
   * Gives the process its place: scope, registration, guard. Only when this has resolved may the process become QEMU.
   * Throws ManagerError.
   */
  enter(child: LeaderCandidate, signal: AbortSignal): Promise<void>;
  /**
   * Starts a daemon whose socket listens when this resolves: ours or a unit's, so that nobody has to wait for the daemon
   * itself, or its own. Throws AuxiliaryError.
   */
  startAuxiliary(plan: PlannedAuxiliary, signal: AbortSignal): Promise<RunningAuxiliary>;
  /** Called for what comes in through the manager; before `enter` at the latest. */
  onRequest(handler: (request: MachineRequest) => void): void;
  /** Whether the machine is being stopped because somebody wants it gone at once (machinectl terminate). Never rejects. */
  terminating(): Promise<boolean>;
}
