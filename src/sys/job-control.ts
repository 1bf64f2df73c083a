import { libc } from './koffi.ts';

const tcgetpgrp = libc<[number], number>('int tcgetpgrp(int)');
const getpgrp = libc<[], number>('int getpgrp()');

/**
 * Whether we may change the modes of this terminal: true in its foreground, and where it is not our controlling
 * terminal at all. False for a background job, which a tcsetattr(3) would stop with SIGTTOU.
 */
export function inForeground(fd: number): boolean {
  const group = tcgetpgrp(fd);
  return group <= 0 || group === getpgrp();
}
