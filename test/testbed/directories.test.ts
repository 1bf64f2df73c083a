import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingDrivers, sayReady, withoutDriver } from '../missing-driver.ts';
import { smallShell } from '../small-shell.ts';
import { treeDigestCommand } from '../tree-digest.ts';
import {
  eventually,
  inEveryTestbed,
  leftovers,
  processesOf,
  smallMachine,
  type User,
  unitProperties,
} from './machine.ts';
import { nothingLeft, startMachine, told } from './remnants.ts';
import type { Testbed } from './testbed.ts';

/** Without a TPM, and with what makes the guest's console the one that is read. */
const plain = ['--tpm=no', '--shutdown-timeout=5s'];
const words = ['console=ttyS0', 'quiet'];

/** What is found of `directory` in a testbed: a hash of the tree in it, and the names beside that. */
async function seenFromOutside(bed: Testbed, directory: string): Promise<{ digest: string; names: string }> {
  const digest = await bed.check(['sh', '-euc', treeDigestCommand, 'sh', `${directory}/tree`]);
  const names = await bed.check(['ls', '-A', directory]);
  return { digest: digest.stdout, names: names.stdout };
}

inEveryTestbed((testbed) => {
  for (const as of ['root', 'tester'] as const satisfies readonly User[]) {
    test(`${as}: --bind and --bind-ro, and the copy of a tree; each daemon in a unit of its own`, {
      timeout: 400_000,
    }, async () => {
      const bed = testbed();
      const rust = bed.name !== 'debian-12';
      const home = as === 'root' ? '/srv' : '/home/tester';
      // Users of the tree: the guest's root and its user 5, as numbers of the host. In one testbed there is only the user.
      const shifted = as === 'root' && rust;
      const namespaces = as === 'tester' && bed.name !== 'debian-13';
      const [first, fifth] =
        as === 'root' ? (shifted ? [200_000, 200_005] : [0, 5]) : [1000, namespaces ? 100_004 : 1000];
      await bed.check([
        'sh',
        '-euc',
        `mkdir -p "$1/data, one" "$1/fixed" "$1/t/tree"; cd "$1"
         echo host | tee "data, one/file" fixed/file t/tree/own >t/tree/other
         chown -R "$2:$2" "data, one" fixed t; chown -R "$3:$3" t/tree; chown "$4:$4" t/tree/other; chmod 600 t/tree/other`,
        ...['sh', home, as === 'root' ? '0' : '1000', String(first), String(fifth)],
      ]);
      const before = await seenFromOutside(bed, `${home}/t`);
      const machine = `binds-${as}`;
      const line = [
        ...smallMachine(bed, machine, ...plain),
        `--bind=${home}/data, one`,
        `--bind-ro=${home}/fixed:/fixed`,
        `--directory=${home}/t/tree`,
        '--ephemeral',
      ];
      if (!rust) {
        const refused = await bed.run([...line, ...(as === 'root' ? ['--private-users=200000:1000'] : [])], {
          as,
        });
        assert.equal(refused.status, 1);
        assert.match(
          refused.stderr,
          as === 'root'
            ? /--directory=.* has files that belong to the users from 200000 on, which \S+virtiofsd \(7\.2\S*\) cannot show/
            : /--directory=.* needs (newuidmap and newgidmap|user namespaces)/,
        );
        assert.deepEqual(await leftovers(bed, machine, as), []);
      }
      // Without a whole /proc in sight nobody may make namespaces as virtiofsd does.
      if (namespaces) await bed.check(['sh', '-c', 'mkdir /opt/proc && mount -t proc proc /opt/proc']);
      await using run = bed.spawn([...line, ...(shifted ? ['--private-users=200000:1000'] : []), ...words], {
        as,
      });
      const inGuest = await smallShell(run);
      assert.equal(
        await inGuest(
          'mkdir /a /b /c; mount -t virtiofs mnt0 /a && mount -t virtiofs mnt1 /b && mount -t virtiofs root /c',
        ),
        '',
      );
      assert.equal(await inGuest('cat /a/file /b/file /c/own /c/other'), 'host\nhost\nhost\nhost\n');
      // The guest's root is who started the machine.
      assert.equal(await inGuest('stat -c %u /a/file'), '0\n');
      assert.equal(
        await inGuest('echo guest > /a/new && chmod 4755 /a/new && mkdir /a/sub && mv /a/new /a/sub'),
        '',
      );
      const uid = as === 'root' ? 0 : 1000;
      const { stdout } = await bed.check([
        'sh',
        '-c',
        'cat "$1"; stat -c "%a %u" "$1"',
        'sh',
        `${home}/data, one/sub/new`,
      ]);
      assert.equal(stdout, `guest\n4755 ${uid}\n`);
      for (const attack of ['echo x > /b/file', 'rm /b/file', 'chmod 777 /b/file', 'mkdir /b/x']) {
        const said = await inGuest(`mount -o remount,rw /b; if ${attack}; then echo DONE; fi`);
        assert.match(said, /Read-only file system/, attack);
      }
      assert.equal(
        await inGuest('stat -c "%u %g" /c /c/own /c/other | tr "\\n" ,'),
        `0 0,0 0,${first === fifth ? '0 0' : '5 5'},`,
      );
      assert.equal(
        await inGuest('echo guest > /c/own && rm /c/other && mkdir /c/sub && touch /c/sub/new'),
        '',
      );
      if (first !== fifth) assert.equal(await inGuest('chown 5:5 /c/sub /c/sub/new'), '');
      const copied = await bed.check([
        'sh',
        '-c',
        'cd "$1"/.#vmspawn-tree-*/tree && cat own && stat -c %u own sub/new',
        'sh',
        `${home}/t`,
      ]);
      assert.equal(copied.stdout, `guest\n${first}\n${fifth}\n`);
      for (const name of ['virtiofsd-0', 'virtiofsd-1', 'virtiofsd-root']) {
        const service = `machine-${machine.replaceAll('-', '\\x2d')}-${name}.service`;
        const { ActiveState: state } = await unitProperties(bed, service, ['ActiveState'], as);
        assert.equal(state, 'active', service);
        assert.ok((await processesOf(bed, service, as)).some(({ program }) => program === 'virtiofsd'));
      }
      // The guest's driver gives one of them up, then the guest says that it is ready.
      assert.equal(await inGuest(`umount /b; ${withoutDriver('mnt1')}; ${sayReady}`), '');
      await told(run, /no driver for virtiofs/);
      run.type('sync; poweroff -f');
      const end = await run.ended;
      assert.equal(end.status, 0, end.stderr);
      assert.deepEqual(missingDrivers(end.stderr), [`mount ${home}/fixed of this host at /fixed`]);
      assert.deepEqual(await leftovers(bed, machine, as), []);
      assert.deepEqual(await seenFromOutside(bed, `${home}/t`), before);
    });
  }

  test('the copy of a tree goes with the units of a supervisor that is killed', {
    timeout: 200_000,
  }, async () => {
    const bed = testbed();
    await bed.check(['mkdir', '-p', '/srv/killed/tree/etc']);
    const before = await seenFromOutside(bed, '/srv/killed');
    await using machine = await startMachine(bed, 'copy', ['--directory=/srv/killed/tree', '--ephemeral']);
    assert.match((await seenFromOutside(bed, '/srv/killed')).names, /\.#vmspawn-tree-/);
    await machine.kill('SIGKILL');
    await machine.ended;
    await eventually('the end of the copy', async () => {
      const now = await seenFromOutside(bed, '/srv/killed');
      return now.names === before.names && now.digest === before.digest ? now : undefined;
    });
    await nothingLeft(bed);
  });

  for (const when of ['before the guest is up', 'while the guest uses it']) {
    test(`a daemon that is killed ${when} takes the machine down, with its name`, {
      timeout: 400_000,
    }, async () => {
      const bed = testbed();
      await using run = bed.spawn([
        ...smallMachine(bed, 'killed', '--tpm=no', '--shutdown-timeout=5s', '--bind=/srv:/data'),
        ...words,
      ]);
      await run.seen(/vmspawn-small: up/);
      if (when === 'while the guest uses it') {
        const inGuest = await smallShell(run);
        await inGuest('mkdir /a; mount -t virtiofs mnt0 /a; ls /a');
      }
      await bed.check(['pkill', '-KILL', '-x', 'virtiofsd']);
      const end = await run.ended;
      assert.equal(end.status, 1);
      const sentence =
        /directory \/srv virtiofsd-0 \(machine-killed-virtiofsd-0\.service\) ended with signal SIGKILL/gi;
      assert.equal(end.stderr.match(sentence)?.length, 2, end.stderr);
      assert.match(end.stderr, /; the machine is shut down\./);
      assert.deepEqual(await leftovers(bed, 'killed'), []);
      await nothingLeft(bed);
    });
  }

  test('a daemon that is killed before it serves QEMU is the first cause', { timeout: 120_000 }, async () => {
    const bed = testbed();
    // The manager starts it for the connection of QEMU.
    await bed.check(
      ['sh', '-euc', 'mkdir /opt/dies; cat > /opt/dies/virtiofsd; chmod 755 /opt/dies/virtiofsd'],
      {
        input:
          '#!/bin/sh\nfor real in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do [ ! -x $real ] || break; done\n' +
          'case $1 in --version | --help) exec $real "$@" ;; esac\n$real "$@" &\nsleep 0.2; kill -KILL $! $$\n',
      },
    );
    const end = await bed.run([...smallMachine(bed, 'killed', '--tpm=no', '--bind=/srv:/data'), ...words], {
      environment: { PATH: '/opt/dies:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin' },
    });
    assert.equal(end.status, 1, end.stderr);
    assert.match(end.stderr, /directory \/srv virtiofsd-0 \(\S+\) ended with signal SIGKILL/i);
    assert.deepEqual(await leftovers(bed, 'killed'), []);
    await nothingLeft(bed);
  });
});
