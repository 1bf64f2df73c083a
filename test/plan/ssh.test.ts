import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { HostFacts } from '../../src/host/facts.ts';
import { Draft } from '../../src/plan/draft.ts';
import { planSshKey } from '../../src/plan/ssh.ts';
import type { PlannedVsock } from '../../src/plan/vsock.ts';
import type { SettingsInput } from '../../src/settings/settings.ts';
import { temporaryDirectory } from '../guests.ts';
import { debian12, settings } from './hosts.ts';

const kernel: PlannedVsock = { kind: 'kernel', cid: 42 };

function daemon(runtimeDirectory: string): PlannedVsock {
  const hostSocket = join(runtimeDirectory, 'vsock');
  return {
    kind: 'daemon',
    hostSocket,
    notify: { path: `${hostSocket}_1024`, port: 1024 },
    auxiliary: {
      name: 'vsock',
      description: 'vsock device',
      binary: '/usr/bin/vhost-device-vsock',
      workingDirectory: runtimeDirectory,
      arguments: [],
      socket: { kind: 'path', path: `${hostSocket}.sock` },
      required: false,
      expendable: true,
    },
  };
}

interface Case {
  readonly vsock?: PlannedVsock | null;
  readonly sshProxy?: HostFacts['sshProxy'];
  readonly given?: SettingsInput;
  readonly directory?: string;
  readonly node?: string;
}

const old = { vsock: false, vsockMux: false };
const systemd257 = { vsock: true, vsockMux: false };
const systemd262 = { vsock: true, vsockMux: true };

/** What the user is told about the key, and the credentials that it goes into; null where there is none. */
function sshKey({
  vsock = null,
  sshProxy = old,
  given = {},
  directory = '/run/vmspawn/web',
  node = '/usr/bin/node',
}: Case) {
  const draft = new Draft();
  const facts = { ...debian12, sshProxy, node };
  const key = planSshKey(settings(given), facts, 'web', vsock, directory, draft);
  const credentials = draft.credentials.map(({ name }) => name);
  assert.equal(key === null, credentials.length === 0);
  return key && { notices: draft.notices.map(({ text }) => text), credentials };
}

const ssh = 'ssh -i /run/vmspawn/web/ed25519 -o IdentitiesOnly=yes';
const anyHost = '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null';
const port = (host: number, guest: number, address = '127.0.0.1') =>
  ({ protocol: 'tcp', address, host, guest }) as const;

test('where there is a vsock device, there is a key for logins by it, and nothing that stays in the guest', () => {
  const credentials = ['ssh.ephemeral-authorized_keys-all', 'systemd.unit-dropin.sshd-vsock@.service'];
  for (const [vsock, sshProxy, words] of [
    [kernel, systemd257, 'root@vsock/42'],
    [kernel, old, `-o 'ProxyCommand=socat - VSOCK-CONNECT:42:22' ${anyHost} root@web`],
    [daemon('/run/vmspawn/web'), systemd262, 'root@vsock-mux/run/vmspawn/web/vsock'],
    [
      daemon('/run/vmspawn/web'),
      systemd257,
      /^-o 'ProxyCommand=\/usr\/bin\/node -e .*CONNECT 22.* \/run\/vmspawn\/web\/vsock' -o Strict.* root@web$/,
    ],
  ] as const) {
    const { notices, credentials: made } = sshKey({ vsock, sshProxy }) ?? {};
    assert.deepEqual(made, credentials);
    const [line = '', ...others] = notices ?? [];
    assert.ok(line.startsWith(`Log in with: ${ssh} `) && others.length === 0);
    const given = line.slice(`Log in with: ${ssh} `.length);
    if (typeof words === 'string') assert.equal(given, words);
    else assert.match(given, words);
    assert.equal(sshKey({ vsock, sshProxy, given: { passSshKey: false } }), null);
  }
});

test('a path that ssh(1) would change is no host name', () => {
  const directory = '/run/vmspawn/Web';
  const [line] = sshKey({ vsock: daemon(directory), sshProxy: systemd262, directory })?.notices ?? [];
  assert.match(line ?? '', /ProxyCommand=.* \/run\/vmspawn\/Web\/vsock'/);
});

test('a key that was asked for opens root by network too, through the first port that leads to 22', () => {
  const credentials = ['ssh.ephemeral-authorized_keys-all', 'ssh.authorized_keys.root', 'tmpfiles.extra'];
  const udp = { protocol: 'udp', address: '127.0.0.1', host: 2221, guest: 22 } as const;
  const asked = (ports: readonly ReturnType<typeof port>[]) => ({
    passSshKey: true,
    network: ['user' as const],
    ports: [udp, port(8080, 80), ...ports],
  });
  const byNetwork = (host: number, address: string) =>
    `Log in by network with: ${ssh} -p ${host} ${anyHost} root@${address}`;
  assert.deepEqual(sshKey({ given: asked([port(2222, 22), port(2223, 22)]) }), {
    notices: [byNetwork(2222, '127.0.0.1')],
    credentials,
  });
  assert.deepEqual(sshKey({ given: asked([port(2222, 22, '0.0.0.0')]) })?.notices, [
    byNetwork(2222, '127.0.0.1'),
  ]);
  assert.deepEqual(sshKey({ given: asked([port(2222, 22, '127.0.0.2')]) })?.notices, [
    byNetwork(2222, '127.0.0.2'),
  ]);
  assert.deepEqual(sshKey({ vsock: kernel, sshProxy: systemd262, given: asked([port(2222, 22)]) })?.notices, [
    `Log in with: ${ssh} root@vsock/42`,
    byNetwork(2222, '127.0.0.1'),
  ]);
  assert.equal(sshKey({ given: { ...asked([port(2222, 22)]), passSshKey: null } }), null);
});

test("the user's own keys for root stay, and ours is added", () => {
  const draft = new Draft();
  const name = 'ssh.authorized_keys.root';
  const users = { kind: 'file', path: '/root/keys' } as const;
  draft.credential({ name, source: users });
  planSshKey(settings({ passSshKey: true }), debian12, 'web', null, '/run/vmspawn/web', draft);
  const parts = [users, { kind: 'text', text: '\n' }, { kind: 'made', what: 'ssh-public-key' }];
  assert.deepEqual(
    draft.credentials.filter((credential) => credential.name === name),
    [{ name, source: { kind: 'joined', parts } }],
  );
});

test('where no way is known, what to add for one', () => {
  const notices = (given: SettingsInput) => sshKey({ given: { passSshKey: true, ...given } })?.notices;
  const key = "The machine's SSH key is /run/vmspawn/web/ed25519; ";
  assert.deepEqual(notices({}), [`${key}add --network-user-mode --port=2222:22 to log in by network.`]);
  assert.deepEqual(notices({ network: ['user'], ports: [port(8080, 80)] }), [
    `${key}add --port=2222:22 to log in by network.`,
  ]);
  assert.deepEqual(notices({ network: ['tap'] }), [`${key}log in as root at the guest's address.`]);
});

test('the line with a program of ours reaches the guest whatever the path is, and ends with the connection', async () => {
  using place = temporaryDirectory();
  const vsock = daemon(join(place.path, `it's "$HOME", 1:2 %h\\`));
  assert.ok(vsock.kind === 'daemon');
  let heard: string[] = [];
  // As the daemon: what comes before its answer is lost. The second time nobody listens at the guest's port.
  let answer = 'OK 1073741824\n';
  const server = createServer((client) => {
    client.on('error', () => {});
    client.on('data', (data) => {
      heard.push(`${data}`);
      if (heard.length === 1 && answer !== '') client.write(answer);
      else client.end();
    });
  });
  mkdirSync(dirname(vsock.hostSocket));
  await new Promise<void>((resolve) => server.listen(vsock.hostSocket, resolve));
  const [notice = ''] = sshKey({ vsock, node: process.execPath })?.notices ?? [];
  const command = `${notice.replace('Log in with: ', '')} -F /dev/null true`;
  const run = () =>
    new Promise<string>((resolve) => {
      execFile('sh', ['-c', command], { timeout: 60_000 }, (error, _output, text) => {
        assert.equal(error?.code, 255, text);
        resolve(text);
      });
    });
  assert.match(await run(), /closed|reset/i);
  assert.equal(heard[0], 'CONNECT 22\n');
  assert.match(heard[1] ?? '', /^SSH-2\.0-/);
  [heard, answer] = [[], ''];
  assert.match(await run(), /closed|reset/i);
  assert.deepEqual(heard, ['CONNECT 22\n']);
  await new Promise((resolve) => server.close(resolve));
});
