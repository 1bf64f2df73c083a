import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyImage, debianImage } from '../guests.ts';
import { Datagrams } from '../sys/datagrams.ts';
import { leftovers, processes, Run, scratch, until } from './harness.ts';

/** Once the system is up, tells over the ready channel what it was given, and ends the machine with a status. */
const probe = `[Unit]
After=vmspawn-ready.service
SuccessAction=exit
SuccessActionExitStatus=42
[Service]
Type=oneshot
ImportCredential=probe.*
ExecStart=/bin/sh -c 'cd "$$CREDENTIALS_DIRECTORY"; \\
    port=$$(grep -l org.vmspawn.notify /sys/class/virtio-ports/*/name); \\
    echo STATUS=$$(sha256sum probe.* | cut -c-16,65-) $$(grep -c probe-string /sys/firmware/dmi/entries/11-0/raw) \\
    >/dev/$$(basename $$(dirname $$port))'
`;

test('a guest gets its credentials, its word reaches the manager, its exit status is ours', {
  timeout: 600_000,
}, async () => {
  using directory = scratch();
  const image = copyImage(debianImage(), directory.path);
  const values = {
    // Nearly as much as there is room for.
    'probe.file': randomBytes(40_000),
    'probe.set': Buffer.from('line\n\0\xff', 'latin1'),
    'probe.socket': randomBytes(20).toString('hex'),
  };
  const file = join(directory.path, 'file');
  writeFileSync(file, values['probe.file'], { mode: 0o600 });
  const socket = join(directory.path, 'socket');
  const server = createServer((connection) => connection.end(values['probe.socket']));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  using manager = new Datagrams(`@vmspawn-test-told-${process.pid}`);
  await using run = new Run(
    [
      `--image=${image}`,
      '--machine=told',
      '--ram=1G',
      '--tpm=no',
      '--kvm=no',
      '--console=read-only',
      '--notify-ready=yes',
      '--set-credential=probe.set:line\\n\\x00\\xff',
      `--load-credential=probe.file:${file}`,
      `--load-credential=probe.socket:${socket}`,
      `--set-credential=systemd.extra-unit.probe.service:${probe.replaceAll('\\', '\\\\')}`,
      '--smbios11=probe-string',
      'systemd.wants=probe.service',
    ],
    { NOTIFY_SOCKET: manager.address },
  );
  const texts: string[] = [];
  const told = (pattern: RegExp) => {
    texts.push(...manager.texts());
    return texts.findIndex((text) => pattern.test(text));
  };
  let over = false;
  run.ended.then(
    () => {
      over = true;
    },
    () => {},
  );

  await until(() => over || told(/booting/) !== -1);
  // While the guest has them, nobody else can see them.
  const [qemu] = processes(/guest=told,/);
  assert.ok(qemu !== undefined, run.stderr);
  const argv = readFileSync(`/proc/${qemu}/cmdline`, 'latin1');
  assert.match(argv, /type=11,path=\/proc\/self\/fd\/\d+/);
  const secret = values['probe.socket'];
  for (const text of [
    secret,
    Buffer.from(secret).toString('base64'),
    'probe-string',
    'io.systemd.credential',
  ])
    assert.ok(!argv.includes(text), text);
  for (const name of readdirSync('/run/vmspawn/told', { recursive: true, encoding: 'utf8' }))
    assert.ok(!lstatSync(join('/run/vmspawn/told', name)).isFile(), name);

  const end = await run.ended;
  server.close();
  const all = (count = told(/EXIT_STATUS=/)) =>
    `${count}: ${texts.join('\n--\n')}\n${end.stdout.slice(-2000)}`;
  const hashes = Object.entries(values).map(
    ([name, value]) => `${createHash('sha256').update(value).digest('hex').slice(0, 16)} ${name}`,
  );
  assert.ok(told(/EXIT_STATUS=/) > told(/^READY=1$|\nREADY=1$/), all());
  assert.ok(told(/^READY=1$|\nREADY=1$/) > told(/booting/), all());
  assert.ok(
    texts.some((text) => text === `STATUS=Guest: ${hashes.join(' ')} 1`),
    `${hashes.join(' ')} is not in ${all()}`,
  );
  assert.equal(end.code, 42, `${end.stderr}\n${all()}`);
  assert.deepEqual(leftovers('told', directory.path), []);
});
