import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './facts.ts';
import type { ManagerChoice } from './manager-kind.ts';

export type Environment = { readonly [name: string]: string | undefined };

/**
 * Where machines keep what lives as long as they run: /run/vmspawn for root, $XDG_RUNTIME_DIR/vmspawn for others. A
 * user without a runtime directory (no login session) gets a directory in /tmp with the user's number in its name.
 */
export function runtimeBase(uid: number, environment: Environment): string {
  if (uid === 0) return '/run/vmspawn';
  const directory = environment['XDG_RUNTIME_DIR'];
  return directory?.startsWith('/') ? join(directory, 'vmspawn') : `/tmp/vmspawn-${uid}`;
}

/**
 * Who runs us, and with which limits. The manager's runtime directory, where there is one, is the machine's too: what it
 * starts can clean up only there. `descriptorLimit` comes from sys/limits.ts.
 */
export function identity(
  environment: Environment,
  descriptorLimit: Identity['descriptorLimit'],
  choice: ManagerChoice,
): Identity {
  const own = runtimeBase(process.getuid?.() ?? 0, environment);
  return {
    runtimeBase: choice.kind === 'none' ? own : join(choice.runtimeDirectory, 'vmspawn'),
    lockDirectory: join(own, '.lock'),
    descriptorLimit,
  };
}

/** The host's machine ID (machine-id(5)); null for a host without one, such as a container. */
export function machineId(): string | null {
  for (const file of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    try {
      const id = readFileSync(file, 'utf8').trim();
      if (/^[0-9a-f]{32}$/.test(id)) return id;
    } catch {
      // The next place.
    }
  }
  return null;
}

const architectures: { readonly [node: string]: string } = {
  x64: 'x86_64',
  arm64: 'aarch64',
  riscv64: 'riscv64',
  loong64: 'loongarch64',
  s390x: 's390x',
  ppc64: 'ppc64',
};

/** The host's architecture as QEMU spells it. */
export function qemuArchitecture(): string {
  return architectures[process.arch] ?? process.arch;
}

/** What a program that we start must not inherit: words of a service manager that are meant for us. */
const ownVariables = [
  'NOTIFY_SOCKET',
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
  'LISTEN_PIDFDID',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
];

/** Our environment as QEMU and the daemons get it. */
export function programEnvironment(environment: Environment): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !ownVariables.includes(name)) result[name] = value;
  }
  return result;
}
