import type { Environment } from '../host/identity.ts';
import { longestTimer } from '../settings/defaults.ts';

/**
 * The time in milliseconds within which the service manager wants to hear from this process (sd_watchdog_enabled(3)), or
 * null where it does not, or the words are meant for another process.
 */
export function watchdogTime(environment: Environment, pid: number): number | null {
  const { WATCHDOG_USEC: microseconds, WATCHDOG_PID: owner } = environment;
  if (microseconds === undefined || !/^[1-9][0-9]{0,18}$/.test(microseconds)) return null;
  if (owner !== undefined && owner !== String(pid)) return null;
  return Number(microseconds) / 1000;
}

export interface WatchdogOptions {
  /** From `watchdogTime`. */
  readonly time: number;
  /** Whether QEMU answers within that many milliseconds. */
  alive(timeout: number): Promise<boolean>;
  ping(): void;
}

/**
 * Pings once now and then every third of the time, each time only after QEMU has answered within a third: a QEMU that
 * hangs is as bad as a supervisor that does, and the service manager ends and restarts both.
 */
export function keepWatchdog({ time, alive, ping }: WatchdogOptions): Disposable {
  const third = Math.min(Math.max(Math.floor(time / 3), 1), longestTimer);
  let asking = false;
  let over = false;
  const ask = async (): Promise<void> => {
    if (asking) return;
    asking = true;
    const answered = await alive(third);
    asking = false;
    if (answered && !over) ping();
  };
  ping();
  const timer = setInterval(() => void ask(), third);
  timer.unref();
  return {
    [Symbol.dispose]() {
      over = true;
      clearInterval(timer);
    },
  };
}
