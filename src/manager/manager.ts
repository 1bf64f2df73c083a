import type { PlannedAuxiliary } from '../plan/plan.ts';

/** A daemon beside QEMU that has been started. Disposal ends it and waits until it is gone. */
export interface RunningAuxiliary extends AsyncDisposable {
  readonly plan: PlannedAuxiliary;
  /** How it ended ("exit status 1", "signal SIGKILL"); settles on every end, also one that we asked for. */
  readonly ended: Promise<string>;
  /** Its last lines of output, fit for a terminal; may be empty. */
  lastWords(): string;
}

/** Whoever starts what a machine needs besides QEMU: a service manager, or ourselves. */
export interface Manager {
  /**
   * Starts a daemon whose socket listens when this resolves, so that nobody has to wait for the daemon itself. Throws
   * AuxiliaryError.
   */
  startAuxiliary(plan: PlannedAuxiliary, signal: AbortSignal): Promise<RunningAuxiliary>;
}
