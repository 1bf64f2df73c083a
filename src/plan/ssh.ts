import { join } from 'node:path';
import type { HostFacts } from '../host/facts.ts';
import { quoteWord } from '../qemu/shell.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PlannedSshKey } from './plan.ts';
import type { PlannedVsock } from './vsock.ts';

/** The guest's host key is another one each time, or that of an image that many have. */
const anyHost = '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null';

/**
 * For systemd-tmpfiles(8): the credential goes to the end of root's keys. By itself the guest makes that file of it only where
 * there is none, and the key of the next run would be another one.
 */
const authorize = 'w+^ /root/.ssh/authorized_keys - - - - ssh.authorized_keys.root\n';

/**
 * systemd-ssh-generator(8) takes the distribution's sshd@.service where there is one (Debian has it), and that knows nothing of the
 * credential. A copy, since sshd reads keys as the user who logs in, for whom a service's credentials are closed.
 */
const readsCredential = `[Service]
ImportCredential=ssh.ephemeral-authorized_keys-all
RuntimeDirectory=sshd-vsock
RuntimeDirectoryPreserve=yes
ExecStartPre=-/bin/sh -c 'test -e /run/sshd-vsock/authorized_keys || install -m 444 "$$CREDENTIALS_DIRECTORY/ssh.ephemeral-authorized_keys-all" /run/sshd-vsock/authorized_keys'
ExecStart=
ExecStart=-/usr/sbin/sshd -i $SSHD_OPTS -o "AuthorizedKeysFile /run/sshd-vsock/authorized_keys .ssh/authorized_keys"
`;

/**
 * A program for Node.js that connects its input and output with port 22 behind the Unix socket that it is given. What is sent before
 * the daemon has answered is lost. The answer is a line before the server's first one, which ssh(1) passes over (RFC 4253, 4.2).
 */
const connect = [
  'const s = require("net").connect(process.argv[1], () => s.write("CONNECT 22\\n"))',
  '.once("data", (d) => { process.stdout.write(d); process.stdin.pipe(s).pipe(process.stdout) })',
  '.on("close", () => process.exit())',
].join('');

/** What systemd's part of ssh_config hands on as it is: ssh(1) makes host names lower case, and a shell reads them. */
const plainHostName = /^[a-z0-9/._-]+$/;

/**
 * An SSH key for the guest, whose systemd (256 and newer) lets it in over vsock; null where none is wanted. Says by which
 * commands, where there is such a way.
 */
export function planSshKey(
  settings: Settings,
  facts: HostFacts,
  machine: string,
  vsock: PlannedVsock | null,
  runtimeDirectory: string,
  draft: Draft,
): PlannedSshKey | null {
  if (!(settings.passSshKey ?? vsock !== null)) return null;
  const type = settings.sshKeyType;
  const path = join(runtimeDirectory, type);
  const key = `ssh -i ${quoteWord(path)} -o IdentitiesOnly=yes`;
  const source = { kind: 'made', what: 'ssh-public-key' } as const;
  draft.addToCredential('ssh.ephemeral-authorized_keys-all', source);
  if (vsock !== null) {
    draft.addToCredential('systemd.unit-dropin.sshd-vsock@.service', { kind: 'text', text: readsCredential });
    draft.notice(`Log in with: ${key} ${vsockWords(vsock, facts, machine)}`);
  }
  // What the guest makes of this stays in it, so only on request.
  if (settings.passSshKey === true) {
    draft.addToCredential('ssh.authorized_keys.root', source);
    draft.addToCredential('tmpfiles.extra', { kind: 'text', text: authorize });
    const port = settings.ports.find(({ protocol, guest }) => protocol === 'tcp' && guest === 22);
    if (port !== undefined) {
      const address = port.address === '0.0.0.0' ? '127.0.0.1' : port.address;
      draft.notice(`Log in by network with: ${key} -p ${port.host} ${anyHost} root@${address}`);
    } else if (vsock === null) draft.notice(`The machine's SSH key is ${path}; ${withoutWay(settings)}.`);
  }
  return { type, path };
}

function withoutWay({ network }: Settings): string {
  if (network.includes('user')) return 'add --port=2222:22 to log in by network';
  if (network.includes('tap')) return "log in as root at the guest's address";
  return 'add --network-user-mode --port=2222:22 to log in by network';
}

/** Without systemd-ssh-proxy(1), or where the host name would not reach it, socat(1) or Node.js makes the connection. */
function vsockWords(vsock: PlannedVsock, facts: HostFacts, machine: string): string {
  const { sshProxy } = facts;
  if (vsock.kind === 'kernel') {
    if (sshProxy.vsock) return `root@vsock/${vsock.cid}`;
    return proxyWords(`socat - VSOCK-CONNECT:${vsock.cid}:22`, machine);
  }
  const { hostSocket: path } = vsock;
  if (sshProxy.vsockMux && plainHostName.test(path)) return `root@vsock-mux${path}`;
  return proxyWords([facts.node, '-e', connect, path].map(quoteWord).join(' '), machine);
}

function proxyWords(command: string, machine: string): string {
  const option = `ProxyCommand=${command.replaceAll('%', '%%')}`;
  return `-o ${quoteWord(option)} ${anyHost} root@${machine}`;
}
