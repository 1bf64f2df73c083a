import { exitNow } from '../sys/exec.ts';
import { hungUp } from '../sys/stdio.ts';

/** Ends the process. Not by itself: a terminal that is still being read would keep it. */
export function leave(status: number): void {
  // Node aborts when it cannot give a terminal its modes back because that has hung up.
  if (hungUp()) {
    process.emit('exit', status);
    exitNow(status);
  }
  process.exit(status);
}
