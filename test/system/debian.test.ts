import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyImage, debianImage } from '../guests.ts';
import { leftovers, Run, scratch } from './harness.ts';

/** An NV index in the owner's range: what a TPM remembers over a restart. */
const index = '0x1500016';

async function login(run: Run): Promise<void> {
  const at = await run.seen(/debian login: /);
  run.type('root');
  await run.seen(/Password: /, at);
  run.type('vmspawn');
  await run.seen(/root@debian:~# /, at);
}

test('a Debian guest boots under UEFI with a TPM that remembers; SIGTERM powers it off', {
  timeout: 900_000,
}, async () => {
  using directory = scratch();
  const image = copyImage(debianImage(), directory.path);
  const words = [
    `--image=${image}`,
    '--machine=debian-uefi',
    '--ram=1G',
    '--cpus=2',
    '--tpm=yes',
    '--kvm=no',
  ];
  {
    await using run = new Run(words);
    await login(run);
    // The shell echoes what is typed; only what it computes is an answer.
    run.type('test -c /dev/tpm0 && echo tpm-$((40+2)); test -d /sys/firmware/efi && echo efi-$((40+2))');
    await run.seen(/tpm-42/);
    await run.seen(/efi-42/);
    run.type(
      `tpm2_nvdefine -C o -s 8 ${index} && echo -n remember | tpm2_nvwrite -C o -i - ${index} && echo written-$((40+2))`,
    );
    await run.seen(/written-42/);
    run.child.kill('SIGTERM');
    const end = await run.ended;
    assert.equal(end.code, 0, end.stderr);
    assert.match(end.stdout, /Power(ing)? ?(down|off)|Reached target.*Power/i);
  }
  assert.ok(statSync(`${image}.efinvramstate`).isFile());
  assert.equal(statSync(`${image}.efinvramstate`).mode & 0o777, 0o600);
  assert.ok(
    existsSync(join(`${image}.tpmstate`, 'tpm2-00.permall')),
    readdirSync(`${image}.tpmstate`).join(),
  );
  assert.equal(statSync(`${image}.tpmstate`).mode & 0o777, 0o700);
  assert.deepEqual(leftovers('debian-uefi', directory.path), []);
  {
    await using run = new Run(words);
    await login(run);
    run.type(`tpm2_nvread -C o ${index}; echo " status $?"`);
    await run.seen(/remember status 0/);
    run.type('systemctl poweroff');
    const end = await run.ended;
    assert.equal(end.code, 0, end.stderr);
  }
  assert.deepEqual(leftovers('debian-uefi', directory.path), []);
});
