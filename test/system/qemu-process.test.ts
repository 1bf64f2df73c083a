import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { copyImage, smallGuest } from '../guests.ts';
import { directBoot, leftovers, processes, Run, scratch, until } from './harness.ts';

/** While QEMU makes a thread, which it does at any time, all signals are blocked for a moment. */
async function signalMasks(pid: number): Promise<readonly string[]> {
  let masks: readonly string[] = [];
  await until(() => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    masks = ['SigBlk', 'SigIgn'].map((field) => new RegExp(`^${field}:.*$`, 'm').exec(status)?.[0] ?? '');
    return !/^SigBlk:\tf{8}/.test(masks[0] ?? '');
  });
  return masks;
}

async function bareSignalMasks(): Promise<readonly string[]> {
  const words = ['-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'];
  await using bare = new Run(['-c', 'exec qemu-system-x86_64 "$@"', 'sh', ...words], {}, 'sh');
  await bare.seen(/"QMP"/);
  return await signalMasks(bare.child.pid ?? 0);
}

/** The TPM emulator of an image, by its working directory. */
function swtpmOf(state: string): number[] {
  return processes(/^\S*swtpm socket /).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === state;
    } catch {
      return false;
    }
  });
}

function qemuOf(machine: string): number {
  const [pid] = processes(new RegExp(`guest=${machine},`));
  assert.ok(pid !== undefined, `a QEMU for ${machine}`);
  return pid;
}

test('QEMU has the descriptors it was given and no others, and no signals blocked or ignored by us', {
  timeout: 120_000,
}, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  await using run = new Run([`--image=${image}`, '--machine=process', '--ram=256M', '--tpm=yes', '--kvm=no']);
  await run.seen(/vmspawn-small: ready/);
  const pid = qemuOf('process');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  // QEMU blocks and ignores some signals itself; ours must be those of one that a shell has started.
  assert.deepEqual(await signalMasks(pid), await bareSignalMasks());
  assert.match(status, new RegExp(`^PPid:\\t${run.child.pid}$`, 'm'));
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const known = /^(\/dev\/null|socket:|pipe:|anon_inode:|\/dev\/urandom|\/memfd:)/;
  const files = links.filter((link) => !known.test(link));
  assert.deepEqual([...new Set(files)].sort(), [
    image,
    `${image}.efinvramstate`,
    '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
  ]);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0);
});

test('QEMU, the TPM, the socket and the SSH key are gone when the supervisor is killed; the next start works', {
  timeout: 180_000,
}, async () => {
  using directory = scratch();
  const image = copyImage(smallGuest().uefiDisk, directory.path);
  const options = ['--machine=killed', '--manager=none', '--ram=256M', '--tpm=yes', '--kvm=no'];
  const words = [`--image=${image}`, ...options, '--pass-ssh-key=yes'];
  const key = '/run/vmspawn/killed/ed25519';
  {
    await using run = new Run(words);
    await run.seen(/vmspawn-small: ready/);
    assert.match(execFileSync('ssh-keygen', ['-y', '-f', key], { encoding: 'utf8' }), /^ssh-ed25519 /);
    run.child.kill('SIGKILL');
    await run.ended;
    assert.equal(readlinkSync(key).startsWith('/proc/'), true);
    assert.throws(() => readFileSync(key), { code: 'ENOENT' });
    await until(() => processes(/guest=killed,/).length === 0 && swtpmOf(`${image}.tpmstate`).length === 0);
  }
  await using again = new Run(words);
  await again.seen(/vmspawn-small: ready/);
  again.type('poweroff');
  assert.equal((await again.ended).code, 0);
  assert.deepEqual(leftovers('killed', directory.path), []);
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
  await using run = new Run(directBoot('panic'));
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
  await using run = new Run([...directBoot('lost-tpm'), '--tpm=yes']);
  await run.seen(/vmspawn-small: ready/);
  const [swtpm] = swtpmOf('/run/vmspawn/lost-tpm/tpm');
  assert.ok(swtpm !== undefined);
  process.kill(swtpm, 'SIGKILL');
  const end = await run.ended;
  assert.equal(end.code, 1, end.stderr);
  assert.match(end.stderr, /swtpm ended with signal SIGKILL/);
  assert.deepEqual(leftovers('lost-tpm'), []);
});
