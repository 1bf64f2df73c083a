import { readFileSync } from 'node:fs';
import type { HostFacts } from './facts.ts';

/** By it ssh(1) knows systemd's addresses; systemd's package puts it there. */
const configuration = '/etc/ssh/ssh_config.d/20-systemd-ssh-proxy.conf';

/**
 * Which addresses ssh(1) hands to systemd-ssh-proxy(1): those that the configuration file `path` has in its Host lines. The
 * program itself may know more of them than that (systemd 257 does). None where the file cannot be read.
 */
export function probeSshProxy(path = configuration): HostFacts['sshProxy'] {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // Older than 256, or somebody has taken it away.
  }
  const patterns = [...text.matchAll(/^Host (.*)$/gm)].flatMap(([, list = '']) => list.split(' '));
  return { vsock: patterns.includes('vsock/*'), vsockMux: patterns.includes('vsock-mux/*') };
}
