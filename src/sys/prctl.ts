import { constants } from 'node:os';
import { check, libc } from './koffi.ts';

const prctl = libc<[number, number, number, number, number], number>(
  'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
);

const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_CHILD_SUBREAPER = 36;

/**
 * The signal that we get when the thread that started us ends (prctl(2) PR_SET_PDEATHSIG); it stays over execve. A
 * parent that ended before is not noticed: compare process.ppid afterwards. Throws SystemCallError.
 */
export function setParentDeathSignal(signal: NodeJS.Signals): void {
  check('prctl(PR_SET_PDEATHSIG)', prctl(PR_SET_PDEATHSIG, constants.signals[signal], 0, 0, 0));
}

/** Orphans below us become our children instead of those of PID 1. Throws SystemCallError. */
export function setChildSubreaper(on: boolean): void {
  check('prctl(PR_SET_CHILD_SUBREAPER)', prctl(PR_SET_CHILD_SUBREAPER, on ? 1 : 0, 0, 0, 0));
}

/** Whether others of the same user may trace us and a crash writes our memory out. Throws SystemCallError. */
export function setDumpable(on: boolean): void {
  check('prctl(PR_SET_DUMPABLE)', prctl(PR_SET_DUMPABLE, on ? 1 : 0, 0, 0, 0));
}
