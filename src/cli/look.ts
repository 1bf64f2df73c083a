import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { contextEnd, contextStart, terminalStyle, titleEnd, titleStart } from '../console/context.ts';
import type { Look } from '../console/look.ts';
import type { Environment } from '../host/identity.ts';
import type { Settings } from '../settings/settings.ts';
import { isTerminal } from '../sys/stdio.ts';

/** How the terminal on standard output shows a machine's console. */
export function consoleLook(
  { background, consoleAllow }: Pick<Settings, 'background' | 'consoleAllow'>,
  machine: string,
  environment: Environment,
): Look {
  const style = terminalStyle(environment, {
    isTerminal: isTerminal(1),
    forwarded: true,
    background: background === null ? 'none' : background === 'auto' ? 'auto' : 'given',
  });
  const id = style.context ? randomBytes(16).toString('hex') : '';
  const context = style.context
    ? contextStart({
        id,
        machine,
        user: userName(),
        hostname: hostname(),
        machineId: firstLine('/etc/machine-id'),
        bootId: firstLine('/proc/sys/kernel/random/boot_id')?.replaceAll('-', '') ?? null,
        pid: process.pid,
        pidfdId: null,
        command: 'vmspawn',
      })
    : '';
  return {
    tint: style.ask ? 'ask' : style.tint ? background : null,
    start: `${context}${style.title ? titleStart(machine, hostname()) : ''}`,
    end: `${style.title ? titleEnd : ''}${style.context ? contextEnd(id, null) : ''}`,
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

function firstLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').split('\n', 1)[0] || null;
  } catch {
    return null;
  }
}
