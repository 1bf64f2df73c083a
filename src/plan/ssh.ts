import { join } from 'node:path';
import type { HostFacts } from '../host/facts.ts';
import { quoteWord } from '../qemu/shell.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PlannedSshKey } from './plan.ts';

const forAllUsers = 'ssh.ephemeral-authorized_keys-all';
/** What the guest makes of this stays in it, so only on request. */
const forRoot = 'ssh.authorized_keys.root';

/**
 * An SSH key for the guest, whose systemd (256 and newer) lets it in over AF_VSOCK; null where none is wanted, or where
 * credentials of the user name the keys. Says by which command, where there is such a way.
 */
export function planSshKey(
  settings: Settings,
  facts: HostFacts,
  machine: string,
  cid: number | null,
  runtimeDirectory: string,
  draft: Draft,
): PlannedSshKey | null {
  if (!(settings.passSshKey ?? cid !== null)) return null;
  const names = [forAllUsers, ...(settings.passSshKey === true ? [forRoot] : [])];
  if (names.every((name) => draft.hasCredential(name))) {
    const those = `${names.length > 1 ? 'credentials' : 'credential'} ${names.join(' and ')}`;
    const command = cid === null ? '.' : `; log in with: ${sshCommand(facts, machine, cid, null)}`;
    draft.notice(`No SSH key is made, because the guest lets in the keys of your ${those}${command}`);
    return null;
  }
  const type = settings.sshKeyType;
  const path = join(runtimeDirectory, type);
  const source = { kind: 'made', what: 'ssh-public-key' } as const;
  for (const name of names) draft.credential({ name, source });
  if (cid === null)
    draft.notice(`The machine's SSH key is ${path}; there is no AF_VSOCK on this host to log in by.`);
  else draft.notice(`Log in with: ${sshCommand(facts, machine, cid, path)}`);
  return { type, path };
}

/** Without systemd-ssh-proxy socat(1) makes the connection; the guest's host key is another one each time. */
function sshCommand(facts: HostFacts, machine: string, cid: number, path: string | null): string {
  const key = path === null ? 'ssh' : `ssh -i ${quoteWord(path)} -o IdentitiesOnly=yes`;
  if (facts.sshProxy) return `${key} root@vsock/${cid}`;
  const proxy = quoteWord(`ProxyCommand=socat - VSOCK-CONNECT:${cid}:22`);
  return `${key} -o ${proxy} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@${machine}`;
}
