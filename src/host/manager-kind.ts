import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { managerNames } from '../settings/defaults.ts';
import type { Environment } from './identity.ts';

/** Which service manager a machine belongs to, or why to none. */
export type ManagerChoice =
  | { readonly kind: 'system' | 'user'; readonly runtimeDirectory: string; readonly forced: boolean }
  | { readonly kind: 'none'; readonly reason: string; readonly wanted: 'system' | 'user' | null };

/**
 * Decides by what lies about, without asking anybody: systemd runs this host (sd_booted(3)), and the manager's bus has
 * a socket. Root's machines belong to the system's manager, those of others to their own.
 */
export function chooseManager(
  wanted: (typeof managerNames)[number],
  environment: Environment,
  uid = process.getuid?.() ?? 0,
  run = '/run',
): ManagerChoice {
  if (wanted === 'none') return { kind: 'none', reason: '--manager=none was given', wanted: null };
  const kind = wanted === 'auto' ? (uid === 0 ? 'system' : 'user') : wanted;
  const forced = wanted !== 'auto';
  const none = (reason: string): ManagerChoice => ({
    kind: 'none',
    reason,
    wanted: wanted === 'auto' ? null : kind,
  });
  if (!isDirectory(join(run, 'systemd/system'))) return none('systemd does not run this host');
  if (kind === 'system') {
    if (uid !== 0) return none('only root can have machines of the system manager');
    if (
      environment['DBUS_SYSTEM_BUS_ADDRESS'] === undefined &&
      !existsSync(join(run, 'dbus/system_bus_socket'))
    ) {
      return none(`the system bus has no socket (${join(run, 'dbus/system_bus_socket')})`);
    }
    return { kind, runtimeDirectory: run, forced };
  }
  const directory = environment['XDG_RUNTIME_DIR'];
  if (directory === undefined || !directory.startsWith('/')) return none('XDG_RUNTIME_DIR is not set');
  if (!isDirectory(join(directory, 'systemd'))) return none(`no user manager runs in ${directory}`);
  if (environment['DBUS_SESSION_BUS_ADDRESS'] === undefined && !existsSync(join(directory, 'bus'))) {
    return none(`the user bus has no socket (${join(directory, 'bus')})`);
  }
  return { kind, runtimeDirectory: directory, forced };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
