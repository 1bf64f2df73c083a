import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { debianTree } from '../guests.ts';
import { missingDrivers, sayReady, withoutDriver } from '../missing-driver.ts';
import { smallShell } from '../small-shell.ts';
import { treeDigest } from '../tree-digest.ts';
import { directBoot, leftovers, processes, processesIn, Run, scratch, until, vmspawn } from './harness.ts';

/** What a guest is told so that its console is the one that we read. */
const words = ['console=ttyS0', 'quiet'];

/** Two directories of the host with a file each, in a place whose name has what option lists take for something else. */
function shares(directory: string): { data: string; fixed: string } {
  const data = join(directory, 'data, one\\:two');
  const fixed = join(directory, 'fixed, $HOME');
  for (const path of [data, fixed]) {
    mkdirSync(path);
    writeFileSync(join(path, 'file'), 'from the host\n');
  }
  return { data, fixed };
}

const escaped = (path: string): string => path.replace(/[:\\]/g, '\\$&');

/** A directory with a virtiofsd that is a script, in which "$real" is the real one; for $PATH. */
function daemonScript(place: string, script: string): NodeJS.ProcessEnv {
  const bin = join(place, 'bin');
  mkdirSync(bin);
  const real = [
    '/usr/libexec/virtiofsd',
    '/usr/lib/virtiofsd',
    '/usr/lib/qemu/virtiofsd',
    '/usr/bin/virtiofsd',
  ].find((path) => existsSync(path));
  assert.ok(real !== undefined, 'virtiofsd is installed');
  const text = `#!/bin/sh\nreal=${real}\ncase $1 in --version | --help) exec "$real" "$@" ;; esac\n${script}\n`;
  writeFileSync(join(bin, 'virtiofsd'), text, { mode: 0o755 });
  return { PATH: `${bin}:${process.env['PATH']}` };
}

suite('directories', { timeout: 600_000 }, () => {
  test('--bind shows both sides the same bytes, --bind-ro keeps a guest from writing that has remounted it', async () => {
    using place = scratch();
    const { data, fixed } = shares(place.path);
    const before = treeDigest(fixed);
    const calls = join(place.path, 'calls');
    await using run = new Run(
      [
        ...directBoot('test-binds'),
        `--bind=${escaped(data)}`,
        `--bind-ro=${escaped(fixed)}:/fixed`,
        `--bind-ro=${escaped(fixed)}:/never-mounted`,
        ...words,
      ],
      daemonScript(
        place.path,
        `exec strace -f -qq -y --seccomp-bpf -e trace=fsync,fdatasync -o '${calls}'.$$ "$real" "$@"`,
      ),
    );
    const synced = (): string =>
      readdirSync(place.path)
        .filter((name) => name.startsWith('calls.'))
        .map((name) => readFileSync(join(place.path, name), 'utf8'))
        .join('');
    const inGuest = await smallShell(run);
    assert.equal(await inGuest('mkdir /a /b; mount -t virtiofs mnt0 /a && mount -t virtiofs mnt1 /b'), '');
    assert.equal(await inGuest('cat /a/file /b/file'), 'from the host\nfrom the host\n');
    await inGuest(
      'head -c 3000000 /dev/urandom > /a/random; ln -s /etc/passwd /a/link; chmod 4711 /a/random',
    );
    // The host's kernel is asked to write to the disk when the guest is, and not before.
    assert.doesNotMatch(synced(), /random/);
    assert.equal(await inGuest('dd if=/dev/zero of=/a/random count=0 conv=notrunc,fsync 2> /dev/null'), '');
    assert.match(synced(), /f(data)?sync\(\d+<[^>]*random>.* = 0/);
    const sum = (await inGuest('sha256sum < /a/random')).split(' ')[0];
    const { createHash } = await import('node:crypto');
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(data, 'random')))
        .digest('hex'),
      sum,
    );
    assert.equal(statSync(join(data, 'random')).mode & 0o7777, 0o4711);
    writeFileSync(join(data, 'later'), 'later\n');
    assert.equal(await inGuest('cat /a/later'), 'later\n');

    await inGuest('mount -o remount,rw /b');
    const attacks = [
      'echo x > /b/new',
      'echo x > /b/file',
      'echo x >> /b/file',
      'rm /b/file',
      'mv /b/file /b/other',
      'mkdir /b/directory',
      'chmod 777 /b/file',
      'chown 1 /b/file',
      'touch -d 2001-01-01 /b/file',
      'ln /b/file /b/hard',
      'truncate -s 0 /b/file',
    ];
    for (const attack of attacks) {
      assert.match(await inGuest(`if ${attack}; then echo DONE; fi`), /Read-only file system/, attack);
    }
    assert.equal(treeDigest(fixed), before);
    // The guest's driver gives one of the two up, then the guest says that it is ready.
    assert.equal(await inGuest(`umount /b; ${withoutDriver('mnt1')}; ${sayReady}`), '');
    await until(() => missingDrivers(run.stderr).length > 0);
    run.type('sync; poweroff -f');
    const end = await run.ended;
    assert.equal(end.code, 0, end.stderr);
    assert.deepEqual(missingDrivers(end.stderr), [`mount ${fixed} of this host at /fixed`]);
    assert.deepEqual(leftovers('test-binds', place.path), []);
  });

  test('a kernel without virtiofs that panics: the reason may be its root file system', async () => {
    using place = scratch();
    const { data } = shares(place.path);
    const tree = join(place.path, 'tree');
    mkdirSync(tree);
    await using run = new Run([
      ...directBoot('test-no-driver'),
      `--directory=${tree}`,
      `--bind=${escaped(data)}:/data`,
      'initcall_blacklist=virtio_fs_init',
      ...words,
    ]);
    const inGuest = await smallShell(run);
    assert.match(await inGuest('mkdir /a; mount -t virtiofs root /a'), /No such device/);
    run.type('echo c > /proc/sysrq-trigger');
    const end = await run.ended;
    assert.equal(end.code, 1);
    assert.match(end.stderr, /The kernel of the guest has panicked/);
    assert.deepEqual(missingDrivers(end.stderr), [`mount its root file system, ${tree} of this host`]);
    assert.deepEqual(leftovers('test-no-driver', place.path), []);
  });

  for (const when of ['before the guest is up', 'while the guest uses it']) {
    test(`a daemon that is killed ${when} takes the machine down, with its name`, async () => {
      using place = scratch();
      const { data } = shares(place.path);
      await using run = new Run([
        ...directBoot('test-bind-killed'),
        '--shutdown-timeout=5s',
        `--bind=${escaped(data)}:/data`,
        ...words,
      ]);
      await run.seen(/vmspawn-small: up/);
      if (when === 'while the guest uses it') {
        const inGuest = await smallShell(run);
        assert.equal(await inGuest('mkdir /a; mount -t virtiofs mnt0 /a; cat /a/file'), 'from the host\n');
      }
      const daemons = processesIn(place.path).filter(isDaemon);
      assert.ok(daemons.length > 0, 'virtiofsd runs');
      for (const pid of daemons) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It went with another one.
        }
      }
      const end = await run.ended;
      assert.equal(end.code, 1);
      const sentence = /directory \S.* virtiofsd-0 ended with signal SIGKILL/gi;
      assert.equal(end.stderr.match(sentence)?.length, 2, end.stderr);
      assert.match(end.stderr, /; the machine is shut down\./);
      assert.deepEqual(leftovers('test-bind-killed', place.path), []);
    });
  }

  test('a daemon that is killed between its start and the connection of QEMU is the first cause', async () => {
    using place = scratch();
    const { data } = shares(place.path);
    const bin = join(place.path, 'bin');
    mkdirSync(bin);
    const daemon = `-o source=${place.path}/`;
    writeFileSync(
      join(bin, 'qemu-system-x86_64'),
      `#!/bin/sh
       case "$*" in *guest=test-bind-late,*)
         pgrep -f -- '${daemon}' > '${place.path}/killed'
         pkill -KILL -f -- '${daemon}'
         while pgrep -f -- '${daemon}'; do sleep 0.05; done >&2 ;;
       esac
       exec /usr/bin/qemu-system-x86_64 "$@"\n`,
      { mode: 0o755 },
    );
    const end = await vmspawn([...directBoot('test-bind-late'), `--bind=${escaped(data)}`], {
      PATH: `${bin}:${process.env['PATH']}`,
    });
    assert.match(readFileSync(join(place.path, 'killed'), 'latin1'), /\d/);
    assert.equal(end.code, 1);
    assert.match(end.stderr, /directory \S.* virtiofsd-0 ended with signal SIGKILL/);
    assert.deepEqual(leftovers('test-bind-late', place.path), []);
  });

  test('a daemon that is killed before QEMU uses it is the first cause, and nothing is left', async () => {
    using place = scratch();
    const { data } = shares(place.path);
    for (const [last, how] of [
      ['exit 3', 'exit status 3'],
      ['kill -KILL $$', 'signal SIGKILL'],
    ]) {
      using own = scratch();
      const end = await vmspawn(
        [...directBoot('test-bind-broken'), `--bind=${escaped(data)}`, `--bind=${escaped(data)}:/b`],
        daemonScript(own.path, `echo "no such luck" >&2; ${last}`),
      );
      assert.equal(end.code, 1);
      assert.match(end.stderr, new RegExp(`virtiofsd-[01] ended with ${how}: no such luck`));
      assert.deepEqual(leftovers('test-bind-broken', place.path), []);
    }
  });

  test('a copy of a tree is given up when the start is made anew without a daemon', async () => {
    using place = scratch();
    const [tree = '', bin = '', calls = ''] = ['tree', 'bin', 'calls'].map((name) => join(place.path, name));
    for (const path of [tree, bin]) mkdirSync(path);
    writeFileSync(join(tree, 'file'), 'text');
    const [realCopy, realTpm] = ['cp', 'swtpm'].map((name) =>
      execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(),
    );
    // The first copy would never end.
    const copy = `test -e '${calls}' && exec ${realCopy} "$@"\ntouch '${calls}'\nexec sleep 1000000`;
    const tpm = `case "$*" in *--version*) exec ${realTpm} "$@";; esac\nwhile ! test -e '${calls}'; do sleep 0.1; done`;
    for (const [name, script] of [
      ['cp', copy],
      ['swtpm', `${tpm}\necho "out of order" >&2\nexit 3`],
    ] as const) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const before = readdirSync(place.path);
    const environment = { PATH: `${bin}:${process.env['PATH']}` };
    const options = ['--ephemeral', '--tpm=auto', '--qemu-arg=-no-such-thing', '--quiet'];
    const end = await vmspawn([...directBoot('test-twice'), `--directory=${tree}`, ...options], environment);
    assert.equal(end.code, 1);
    assert.match(end.stderr, /^vmspawn: The machine gets no TPM: .*swtpm.*: out of order\.\n/m);
    assert.match(end.stderr, /^vmspawn: QEMU did not start.*-no-such-thing: invalid option/m);
    assert.deepEqual(readdirSync(place.path), [...before, 'calls'].sort());
    assert.deepEqual(leftovers('test-twice', place.path), []);
  });

  test('--ephemeral runs a tree from a copy: nothing that the guest does to it stays', async () => {
    using place = scratch();
    const tree = join(place.path, 'tree');
    mkdirSync(join(tree, 'etc'), { recursive: true });
    writeFileSync(join(tree, 'etc/file'), 'from the host\n');
    execFileSync('sh', [
      '-c',
      'chown -R 1:2 "$1/etc"; chmod 4755 "$1/etc/file"; ln "$1/etc/file" "$1/hard"',
      'sh',
      tree,
    ]);
    const before = treeDigest(tree);
    const copies = (): string[] => readdirSync(place.path).filter((name) => name !== 'tree');
    const line = [`--directory=${tree}`, '--ephemeral', ...words];
    {
      await using killed = new Run([...directBoot('test-tree-copy'), ...line]);
      const inGuest = await smallShell(killed);
      assert.equal(await inGuest('mkdir /a; mount -t virtiofs root /a; cat /a/etc/file'), 'from the host\n');
      const [container = '', ...others] = copies();
      assert.match(container, /^\.#vmspawn-tree-/);
      assert.deepEqual(others, []);
      assert.equal(statSync(join(place.path, container)).mode & 0o7777, 0o700);
      assert.equal(
        await inGuest(
          'stat -c "%a %u %g %h" /a/hard; chown 7 /a /a/hard; echo x > /a/etc/file; mv /a/etc /a/b; sync',
        ),
        '4755 1 2 2\n',
      );
      assert.equal(readFileSync(join(place.path, container, 'tree/b/file'), 'utf8'), 'x\n');
      killed.child.kill('SIGKILL');
      await killed.ended;
      assert.deepEqual(copies(), [container], 'nobody could remove it');
      await until(() => processesIn(place.path).length === 0);
      assert.equal((await vmspawn(['--clean-up', '--machine=test-tree-copy'])).code, 0);
    }
    // Whatever its name is, which is made up here.
    await using run = new Run([...directBoot('').slice(1), ...line]);
    const inGuest = await smallShell(run);
    assert.equal(await inGuest('mkdir /a; mount -t virtiofs root /a; cat /a/etc/file'), 'from the host\n');
    assert.equal(copies().length, 1, 'what the killed one left is gone');
    assert.ok(processes(/guest=tree-[0-9a-f]{16},/).length > 0);
    const second = await vmspawn([...directBoot('test-tree-copy'), `--directory=${tree}`]);
    assert.match(second.stderr, /directory .*tree is in use by the machine tree-/);
    run.type('poweroff -f');
    const end = await run.ended;
    assert.equal(end.code, 0, end.stderr);
    assert.match(end.stderr, /runs from a copy of .*tree in .*\.#vmspawn-tree-/);
    assert.equal(treeDigest(tree), before);
    assert.deepEqual(copies(), []);
    assert.deepEqual(leftovers('test-tree-copy', place.path), []);
  });

  test('a copy that is given up, and one that has no room, leave nothing', async () => {
    using place = scratch();
    const tree = join(place.path, 'tree');
    mkdirSync(tree);
    const bin = join(place.path, 'bin');
    mkdirSync(bin);
    const words = [...directBoot('test-tree-full'), `--directory=${tree}`, '--ephemeral'];
    const environment = { PATH: `${bin}:${process.env['PATH']}` };
    // It would go on.
    const script = (complaint: string) =>
      writeFileSync(join(bin, 'cp'), `#!/bin/sh\nmkdir "$8"\n${complaint}\nexec sleep 1000000\n`, {
        mode: 0o755,
      });
    const copies = () => readdirSync(place.path).filter((name) => name.startsWith('.#'));
    script('echo "cp: error writing: No space left on device" >&2');
    const full = await vmspawn(words, environment);
    assert.equal(full.code, 1);
    assert.match(
      full.stderr,
      /tree cannot be copied to .*: cp: error writing: No space left on device\. Without/,
    );
    assert.deepEqual(copies(), []);
    assert.deepEqual(leftovers('test-tree-full', place.path), []);
    script('');
    await using run = new Run(words, environment);
    await until(() => copies().some((name) => existsSync(join(place.path, name, 'tree'))));
    run.child.kill('SIGTERM');
    assert.equal((await run.ended).code, 143);
    assert.deepEqual(copies(), []);
    assert.deepEqual(leftovers('test-tree-full', place.path), []);
  });

  test('a tree that mmdebstrap made boots, powers off, and has what its guest wrote', async () => {
    using place = scratch();
    const tree = join(place.path, 'tree');
    execFileSync('cp', ['-a', '--reflink=auto', '--', debianTree(), tree]);
    writeFileSync(
      join(tree, 'etc/systemd/system/seen.service'),
      '[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nRequiresMountsFor=/data /mine\n[Service]\nType=oneshot\n' +
        "ExecStart=/bin/sh -c 'for d in / /data /mine; do findmnt -n -o SOURCE,FSTYPE $$d; done > /root/seen; id -u > /root/id; echo guest > /data/new; sync'\nExecStart=systemctl poweroff --no-block\n",
    );
    const { data } = shares(place.path);
    const end = await vmspawn([
      '--machine=test-tree',
      `--directory=${tree}`,
      `--bind=${escaped(data)}:/data`,
      // Without an end of its line.
      '--set-credential=fstab.extra:tmpfs /mine tmpfs size=1M 0 0',
      ...['--firmware=none', '--ram=512M', '--kvm=no', '--tpm=no', 'systemd.unit=seen.service', 'quiet'],
    ]);
    assert.equal(end.code, 0, end.stderr + end.stdout);
    assert.match(end.stderr, /The kernel is \/boot\/vmlinuz-\S+ in /);
    assert.match(end.stderr, /The guest has powered off/);
    assert.match(
      readFileSync(join(tree, 'root/seen'), 'utf8'),
      /^root +virtiofs\nmnt0 +virtiofs\ntmpfs +tmpfs\n$/,
    );
    assert.equal(readFileSync(join(data, 'new'), 'utf8'), 'guest\n');
    assert.equal(statSync(join(tree, 'root/id')).uid, 0);
    assert.deepEqual(leftovers('test-tree', place.path), []);
  });

  test('what cannot be shared is refused before anything is made', async () => {
    using place = scratch();
    writeFileSync(join(place.path, 'file'), 'x');
    const refused: readonly (readonly [string[], RegExp])[] = [
      [[`--bind=${place.path}/absent:/a`], /--bind=.*absent does not exist\./],
      [[`--bind-ro=${place.path}/file:/a`], /--bind-ro=.*file is no directory\./],
      [[`--directory=${place.path}/absent`], /--directory=.*absent does not exist\./],
      [['--private-users=1000'], /--private-users= is about the files of --directory=/],
    ];
    for (const [option, message] of refused) {
      const end = await vmspawn([...directBoot('test-bind-refused'), ...option]);
      assert.equal(end.code, 1);
      assert.match(end.stderr, message);
    }
    const tree = await vmspawn(['--machine=test-bind-refused', `--directory=${place.path}`]);
    assert.match(tree.stderr, /--directory=.* has no kernel\./);
    const both = await vmspawn([`--directory=${place.path}`, `--image=${place.path}/file`]);
    assert.match(both.stderr, /--directory= and --image= name two things to boot/);
    const copied = await vmspawn(['--directory=/', '--ephemeral', ...directBoot('test-bind-refused')]);
    assert.match(
      copied.stderr,
      /--ephemeral with --directory=\/ has no place for the copy: \/ lies in itself/,
    );
    assert.deepEqual(readdirSync(place.path), ['file']);
    assert.deepEqual(leftovers('test-bind-refused', place.path), []);
  });

  test('a start that is given up while daemons wait leaves none of them', async () => {
    using place = scratch();
    const { data } = shares(place.path);
    await using run = new Run([...directBoot('test-bind-stopped'), `--bind=${escaped(data)}`, ...words]);
    await until(() => processesIn(place.path).some(isDaemon));
    run.child.kill('SIGTERM');
    run.child.kill('SIGTERM');
    await run.ended;
    assert.deepEqual(leftovers('test-bind-stopped', place.path), []);
  });
});

/** A virtiofsd of either kind. */
function isDaemon(pid: number): boolean {
  try {
    return /--shared-dir=|\0-o\0source=/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
  } catch {
    return false;
  }
}
