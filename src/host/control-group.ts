import { readFileSync } from 'node:fs';

/**
 * The control group of a process as systemd has it, or null when the process is gone: in the unified hierarchy, which is
 * there beside the others on a host with both, else in systemd's own of before that (cgroups(7)).
 */
export function controlGroup(pid: number | 'self'): string | null {
  try {
    return systemdGroup(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
  } catch {
    return null;
  }
}

/** The same from the text of /proc/PID/cgroup. */
export function systemdGroup(text: string): string | null {
  const lines = text.split('\n');
  const line =
    lines.find((one) => one.startsWith('0::')) ?? lines.find((one) => one.includes(':name=systemd:'));
  return line === undefined ? null : line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1);
}
