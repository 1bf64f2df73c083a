import type { VmspawnError } from '../errors.ts';

/** How a run ended. */
export interface Outcome {
  /** Exit status for whoever started us. */
  readonly status: number;
  /** What went wrong; null after a clean end. */
  readonly error: VmspawnError | null;
}
