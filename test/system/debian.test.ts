import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSshKey } from '../../src/launch/ssh-key.ts';
import { sshKeyTypes } from '../../src/settings/defaults.ts';
import { copyImage, debianImage } from '../guests.ts';
import { leftovers, program, Run, scratch } from './harness.ts';
import { Tmux } from './terminals.ts';

/** An NV index in the owner's range: what a TPM remembers over a restart. */
const index = '0x1500016';

async function login(run: Run): Promise<void> {
  const at = await run.seen(/debian login: /);
  run.type('root');
  await run.seen(/Password: /, at);
  run.type('vmspawn');
  await run.seen(/root@debian:~# /, at);
}

/** Waits until the guest can be reached. */
const network = 'until ip -4 -o addr | grep -q 10.0.2.15/; do sleep 1; done';

/** Runs a command for sh(1) whose exit status is 7; gives its output. */
async function sh(command: string): Promise<string> {
  const { code, stdout, stderr } = await new Run(['-c', command], {}, 'sh').ended;
  assert.equal(code, 7, stderr);
  return stdout;
}

/** The line that was shown logs in, and so do keys of the other types once root has them. */
async function logInByNetwork(run: Run, directory: string): Promise<string> {
  run.type(`${network}; echo network-$((40+2))`);
  await run.seen(/network-42/);
  const [, line = '', key = ''] = /^.*Log in by network with: (ssh -i (\S+) .*)$/m.exec(run.stderr) ?? [];
  assert.match(key, /^\/run\/vmspawn\/debian-uefi\/ed25519$/, run.stderr);
  const others = sshKeyTypes.filter((type) => type !== 'ed25519');
  const keys = await Promise.all(
    others.map((type) => makeSshKey({ type, path: join(directory, type) }, 'other')),
  );
  const authorized = keys.map(({ publicKey }) => publicKey).join('');
  const add = `cat >> .ssh/authorized_keys; hostname; exit 7`;
  assert.equal(await sh(`printf '${authorized}' | ${line} '${add}'`), 'debian\n');
  for (const type of others) {
    const other = line.replace(key, join(directory, type));
    assert.equal(await sh(`${other} 'echo $((40+2)); exit 7'`), '42\n');
  }
  for (const one of keys) one[Symbol.dispose]();
  return line;
}

test('a Debian guest boots under UEFI with a TPM that remembers; ssh logs in; SIGTERM powers it off', {
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
    ...['--network-user-mode', `--port=0.0.0.0:${20_000 + (process.pid % 10_000)}:22`, '--pass-ssh-key=yes'],
  ];
  let line: string;
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
    line = await logInByNetwork(run, directory.path);
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
    await using tmux = await Tmux.start();
    await tmux.type(`'${[program, ...words].join("' '")}'; echo status=$?`);
    const logIn = async () => {
      await tmux.shows(/debian login: $/m);
      await tmux.type('root');
      await tmux.shows(/Password: $/m);
      // login(1) switches the echo off after its prompt, and throws away what was typed before.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      await tmux.type('vmspawn');
      await tmux.shows(/root@debian:~# $/m);
    };
    await logIn();
    await tmux.type(`clear; tpm2_nvread -C o ${index}; echo " status $?"`);
    await tmux.shows(/remember status 0/);
    await tmux.type(`clear; ${network}; echo network-$((40+2))`);
    await tmux.shows(/^network-42$/m);
    // The key is another one this time, and root has keys already.
    assert.equal(await sh(`${line} 'wc -l < .ssh/authorized_keys; exit 7'`), '5\n');
    // The unit that follows the window is up when the system is, and a new login does not forget it.
    const size = (rows: number, columns: number) =>
      tmux.type(
        `until [ "$(stty size)" = "${rows} ${columns}" ]; do sleep 1; done; echo size-$((${rows}+${columns}))`,
      );
    await size(30, 100);
    await tmux.shows(/^size-130$/m);
    await tmux.type('clear; exit');
    await logIn();
    await tmux.resize(120, 40);
    await size(40, 120);
    await tmux.shows(/^size-160$/m);
    await tmux.type('clear; exit');
    await logIn();
    await tmux.type('echo size-$(stty size | tr " " x)');
    await tmux.shows(/^size-40x120$/m);
    await tmux.type('systemctl poweroff');
    await tmux.shows(/^status=0$/m);
  }
  assert.deepEqual(leftovers('debian-uefi', directory.path), []);
});
