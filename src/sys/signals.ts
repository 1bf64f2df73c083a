import { check, libc } from './koffi.ts';

const signal = libc<[number, number], number>('intptr_t signal(int, intptr_t)');
const sigemptyset = libc<[Buffer], number>('int sigemptyset(void *)');
const sigprocmask = libc<[number, Buffer, null], number>('int sigprocmask(int, void *, void *)');

const SIG_DFL = 0;
const SIG_IGN = 1;
const SIG_SETMASK = 2;
const LAST_SIGNAL = 64;

/** Ignores a signal beneath Node, so that it wakes nobody. */
export function ignoreSignal(number: number): void {
  signal(number, SIG_IGN);
}

/**
 * All signals do what they do by default, and none is blocked: for right before an execve, over which ignored and
 * blocked ones stay. SIGKILL, SIGSTOP and the two of libc's own refuse, which is no matter.
 */
export function resetSignals(): void {
  for (let number = 1; number <= LAST_SIGNAL; number += 1) signal(number, SIG_DFL);
  const none = Buffer.alloc(128);
  sigemptyset(none);
  check('sigprocmask', sigprocmask(SIG_SETMASK, none, null));
}
