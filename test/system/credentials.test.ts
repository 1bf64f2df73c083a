import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyImage, debianImage } from '../guests.ts';
import { Datagrams } from '../sys/datagrams.ts';
import { leftovers, processes, Run, scratch } from './harness.ts';

/** Looks at what it was given, once the system is up, and ends it with a status. */
const probe = `[Unit]
After=vmspawn-ready.service
SuccessAction=exit
SuccessActionExitStatus=42
[Service]
Type=oneshot
ImportCredential=probe.*
StandardOutput=file:/dev/hvc0
ExecStart=/bin/sh -c 'cd "$$CREDENTIALS_DIRECTORY"; for name in *; do echo "$$name: $$(sha256sum <"$$name")."; done'
ExecStart=/bin/sh -c 'grep -c probe-string /sys/firmware/dmi/entries/11-0/raw | sed s/^/strings:/'
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
      `--set-credential=systemd.extra-unit.probe.service:${probe}`,
      '--smbios11=probe-string',
      'systemd.wants=probe.service',
    ],
    { NOTIFY_SOCKET: manager.address },
  );
  for (const [name, value] of Object.entries(values)) {
    const hash = createHash('sha256').update(value).digest('hex');
    await run.seen(new RegExp(`${name}: ${hash}  -\\.`));
    if (name !== 'probe.file') continue;
    // While the guest has them, nobody else can see them.
    const [qemu] = processes(/guest=told,/);
    assert.ok(qemu !== undefined);
    const argv = readFileSync(`/proc/${qemu}/cmdline`, 'latin1');
    assert.match(argv, /type=11,path=\/proc\/self\/fd\/\d+/);
    for (const secret of [
      values['probe.socket'],
      Buffer.from(values['probe.socket']).toString('base64'),
      'probe-',
    ]) {
      assert.ok(!argv.includes(secret), secret);
    }
    for (const name of readdirSync('/run/vmspawn/told', { recursive: true, encoding: 'utf8' })) {
      assert.ok(!lstatSync(join('/run/vmspawn/told', name)).isFile(), name);
    }
  }
  const end = await run.ended;
  server.close();
  assert.match(end.stdout, /strings:1/);
  assert.equal(end.code, 42, end.stderr);
  const texts = manager.texts();
  const at = (pattern: RegExp) => texts.findIndex((text) => pattern.test(text));
  assert.ok(at(/booting/) >= 0 && at(/booting/) < at(/READY=1/), texts.join('\n--\n'));
  assert.ok(at(/READY=1/) < at(/EXIT_STATUS=42/), texts.join('\n--\n'));
  assert.deepEqual(leftovers('told', directory.path), []);
});
