import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { copyImage, smallGuest } from '../guests.ts';
import { leftovers, processes, Run, scratch, until } from './harness.ts';

function qemuOf(machine: string): number {
  const [pid] = processes(new RegExp(`guest=${machine},`));
  assert.ok(pid !== undefined, `a QEMU for ${machine}`);
  return pid;
}

test('QEMU has the descriptors it was given and no others, no blocked and no ignored signals, and the old limit', {
  timeout: 120_000,
}, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  await using run = new Run([`--image=${image}`, '--machine=process', '--ram=256M', '--tpm=yes', '--kvm=no']);
  await run.seen(/vmspawn-small: ready/);
  const pid = qemuOf('process');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  assert.match(status, /^SigBlk:\t0+$/m);
  // QEMU itself ignores SIGPIPE, and takes SIGINT, SIGHUP and SIGTERM.
  assert.match(status, /^SigIgn:\t0+1000$/m);
  assert.match(status, new RegExp(`^PPid:\\t${run.child.pid}$`, 'm'));
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const known = /^(\/dev\/null|socket:|pipe:|anon_inode:|\/dev\/urandom|\/memfd:)/;
  const files = links.filter((link) => !known.test(link));
  assert.deepEqual([...new Set(files)].sort(), [
    '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
    image,
    `${image}.efinvramstate`,
  ]);
  assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max open files +\d+ /m);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0);
});

test('QEMU, the TPM and the socket are gone when the supervisor is killed; the next start works', {
  timeout: 180_000,
}, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  const words = [`--image=${image}`, '--machine=killed', '--ram=256M', '--tpm=yes', '--kvm=no'];
  {
    await using run = new Run(words);
    await run.seen(/vmspawn-small: ready/);
    run.child.kill('SIGKILL');
    await run.ended;
    await until(() => processes(/guest=killed,|swtpm.*\/run\/vmspawn\/killed|tpmstate dir=/).length === 0);
  }
  await using again = new Run(words);
  await again.seen(/vmspawn-small: ready/);
  again.type('poweroff');
  assert.equal((await again.ended).code, 0);
  assert.deepEqual(leftovers('killed'), []);
});

test('a QEMU that is killed is reported, with status 1', { timeout: 120_000 }, async () => {
  await using run = new Run([
    `--linux=${smallGuest().kernel}`,
    '--firmware=none',
    '--machine=shot',
    '--ram=256M',
    '--tpm=no',
  ]);
  await run.seen(/Linux version|Kernel panic/);
  process.kill(qemuOf('shot'), 'SIGKILL');
  const end = await run.ended;
  assert.equal(end.code, 1);
  assert.match(end.stderr, /QEMU ended with signal SIGKILL/);
  assert.deepEqual(leftovers('shot'), []);
});

test('a guest panic ends the machine with status 1 and a message', { timeout: 120_000 }, async () => {
  const guest = smallGuest();
  await using run = new Run([
    `--linux=${guest.kernel}`,
    `--initrd=${guest.initrd}`,
    '--firmware=none',
    '--machine=panic',
    '--ram=256M',
    '--tpm=no',
  ]);
  await run.seen(/vmspawn-small: ready/);
  run.type('panic');
  const end = await run.ended;
  assert.equal(end.code, 1, end.stderr);
  assert.match(end.stderr, /panic/);
  assert.deepEqual(leftovers('panic'), []);
});

test('a TPM that dies takes the machine down in order, with its name in the message', {
  timeout: 120_000,
}, async () => {
  const guest = smallGuest();
  await using run = new Run([
    `--linux=${guest.kernel}`,
    `--initrd=${guest.initrd}`,
    '--firmware=none',
    '--machine=lost-tpm',
    '--ram=256M',
    '--tpm=yes',
  ]);
  await run.seen(/vmspawn-small: ready/);
  const [swtpm] = processes(/^\/\S*swtpm socket/);
  assert.ok(swtpm !== undefined);
  process.kill(swtpm, 'SIGKILL');
  const end = await run.ended;
  assert.equal(end.code, 1, end.stderr);
  assert.match(end.stderr, /swtpm ended with signal SIGKILL/);
  assert.deepEqual(leftovers('lost-tpm'), []);
});
