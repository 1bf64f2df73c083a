import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import {
  type ContextExit,
  contextEnd,
  contextStart,
  isDumb,
  terminalStyle,
  titleEnd,
  titleStart,
} from '../console/context.ts';
import type { Look } from '../console/look.ts';
import { type Environment, machineId } from '../host/identity.ts';
import type { Settings } from '../settings/settings.ts';
import { ownPidfdId } from '../sys/pidfd.ts';
import { randomDigits } from '../sys/random.ts';
import { isTerminal } from '../sys/stdio.ts';

/** How the terminal on standard output shows a machine's console; `exit` tells how that has ended, null while it runs. */
export function consoleLook(
  { background, consoleAllow }: Pick<Settings, 'background' | 'consoleAllow'>,
  machine: string,
  environment: Environment,
  exit: () => ContextExit | null,
): Look {
  const style = terminalStyle(environment, {
    isTerminal: isTerminal(1),
    forwarded: true,
    background: background === null ? 'none' : background === 'auto' ? 'auto' : 'given',
  });
  const id = style.context ? randomDigits() : '';
  const context = style.context
    ? contextStart({
        id,
        machine,
        user: userName(),
        hostname: hostname(),
        machineId: machineId(),
        bootId: bootId(),
        pid: process.pid,
        pidfdId: ownPidfdId()?.toString() ?? null,
        command: 'vmspawn',
      })
    : '';
  return {
    tint: style.ask ? 'ask' : style.tint ? background : null,
    start: `${context}${style.title ? titleStart(machine, hostname()) : ''}`,
    end: () => `${style.title ? titleEnd : ''}${style.context ? contextEnd(id, exit()) : ''}`,
    dumb: isDumb(environment),
    allow: new Set(consoleAllow),
  };
}

/** Null for a user whom the system's database does not know, as in containers. */
function userName(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '');
  } catch {
    return null;
  }
}
