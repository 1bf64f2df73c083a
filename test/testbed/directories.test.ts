import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallShell } from '../small-shell.ts';
import {
  inEveryTestbed,
  leftovers,
  processesOf,
  smallMachine,
  type User,
  unitProperties,
} from './machine.ts';

/** Without a TPM, and with what makes the guest's console the one that is read. */
const plain = ['--tpm=no', '--shutdown-timeout=5s'];
const words = ['console=ttyS0', 'quiet'];

inEveryTestbed((testbed) => {
  for (const as of ['root', 'tester'] as const satisfies readonly User[]) {
    test(`${as}: --bind and --bind-ro, each daemon in a unit of its own`, { timeout: 400_000 }, async () => {
      const bed = testbed();
      const home = as === 'root' ? '/srv' : '/home/tester';
      await bed.check(
        [
          'sh',
          '-c',
          'mkdir -p "$1/data, one" "$1/fixed"; echo host | tee "$1/data, one/file" > "$1/fixed/file"',
          'sh',
          home,
        ],
        { as },
      );
      const machine = `binds-${as}`;
      await using run = bed.spawn(
        [
          ...smallMachine(bed, machine, ...plain),
          `--bind=${home}/data, one`,
          `--bind-ro=${home}/fixed:/fixed`,
          ...words,
        ],
        { as },
      );
      if (bed.name === 'debian-12' && as === 'tester') {
        // The daemon in C leaves its groups, which takes newgidmap there.
        const end = await run.ended;
        assert.equal(end.status, 1);
        assert.match(end.stderr, /--bind=.* needs (newuidmap and newgidmap|user namespaces)/);
        assert.deepEqual(await leftovers(bed, machine, as), []);
        return;
      }
      const inGuest = await smallShell(run);
      assert.equal(await inGuest('mkdir /a /b; mount -t virtiofs mnt0 /a && mount -t virtiofs mnt1 /b'), '');
      assert.equal(await inGuest('cat /a/file /b/file'), 'host\nhost\n');
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
      for (const name of ['virtiofsd-0', 'virtiofsd-1']) {
        const service = `machine-${machine.replaceAll('-', '\\x2d')}-${name}.service`;
        const { ActiveState: state } = await unitProperties(bed, service, ['ActiveState'], as);
        assert.equal(state, 'active', service);
        assert.ok((await processesOf(bed, service, as)).some(({ program }) => program === 'virtiofsd'));
      }
      run.type('sync; poweroff -f');
      const end = await run.ended;
      assert.equal(end.status, 0, end.stderr);
      assert.deepEqual(await leftovers(bed, machine, as), []);
    });
  }

  test('a daemon that is killed takes the machine down, with its name', { timeout: 400_000 }, async () => {
    const bed = testbed();
    const machine = 'killed';
    await using run = bed.spawn([...smallMachine(bed, machine, ...plain), '--bind=/srv:/data', ...words]);
    const inGuest = await smallShell(run);
    await inGuest('mkdir /a; mount -t virtiofs mnt0 /a; ls /a');
    await bed.check(['pkill', '-KILL', '-x', 'virtiofsd']);
    const end = await run.ended;
    assert.equal(end.status, 1);
    assert.match(end.stderr, /virtiofsd-0 .*; the machine is shut down/);
    assert.deepEqual(await leftovers(bed, machine), []);
  });
});
