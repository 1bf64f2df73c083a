import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { debianTree } from '../guests.ts';
import { smallShell } from '../small-shell.ts';
import { directBoot, leftovers, processesIn, Run, scratch, until, vmspawn } from './harness.ts';

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

/** Everything below a directory that a write could change: names, modes, owners, times and content. */
function snapshot(directory: string): unknown {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const { mode, uid, gid, size, mtimeMs } = statSync(path);
      return [
        name,
        mode,
        uid,
        gid,
        size,
        mtimeMs,
        statSync(path).isFile() ? readFileSync(path, 'hex') : null,
      ];
    });
}

suite('directories', { timeout: 600_000 }, () => {
  test('--bind shows both sides the same bytes, --bind-ro keeps a guest from writing that has remounted it', async () => {
    using place = scratch();
    const { data, fixed } = shares(place.path);
    const before = snapshot(fixed);
    await using run = new Run([
      ...directBoot('test-binds'),
      `--bind=${escaped(data)}`,
      `--bind-ro=${escaped(fixed)}:/fixed`,
      ...words,
    ]);
    const inGuest = await smallShell(run);
    assert.equal(await inGuest('mkdir /a /b; mount -t virtiofs mnt0 /a && mount -t virtiofs mnt1 /b'), '');
    assert.equal(await inGuest('cat /a/file /b/file'), 'from the host\nfrom the host\n');
    await inGuest(
      'head -c 3000000 /dev/urandom > /a/random; ln -s /etc/passwd /a/link; chmod 4711 /a/random; fsync /a/random',
    );
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
    assert.deepEqual(snapshot(fixed), before);
    run.type('sync; poweroff -f');
    const end = await run.ended;
    assert.equal(end.code, 0, end.stderr);
    assert.deepEqual(leftovers('test-binds', place.path), []);
  });

  test('a daemon that is killed while the guest uses it takes the machine down, with its name', async () => {
    using place = scratch();
    const { data } = shares(place.path);
    await using run = new Run([
      ...directBoot('test-bind-killed'),
      '--shutdown-timeout=5s',
      `--bind=${escaped(data)}:/data`,
      ...words,
    ]);
    const inGuest = await smallShell(run);
    assert.equal(await inGuest('mkdir /a; mount -t virtiofs mnt0 /a; cat /a/file'), 'from the host\n');
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
    assert.match(end.stderr, /directory .* virtiofsd-0 .*; the machine is shut down/i);
    assert.deepEqual(leftovers('test-bind-killed', place.path), []);
  });

  test('a daemon that does not start is the first cause, and nothing is left', async () => {
    using place = scratch();
    const { data } = shares(place.path);
    const bin = join(place.path, 'bin');
    mkdirSync(bin);
    const daemon = join(bin, 'virtiofsd');
    writeFileSync(
      daemon,
      '#!/bin/sh\ncase $1 in --version) echo virtiofsd 1.13.2 ;; --help) echo --readonly ;; *) echo "no such luck" >&2; exit 3 ;; esac\n',
    );
    chmodSync(daemon, 0o755);
    const end = await vmspawn(
      [...directBoot('test-bind-broken'), `--bind=${escaped(data)}`, `--bind=${escaped(data)}:/b`],
      { PATH: `${bin}:${process.env['PATH']}` },
    );
    assert.equal(end.code, 1);
    assert.match(end.stderr, /virtiofsd-[01] .*exit status 3.*no such luck/);
    assert.deepEqual(leftovers('test-bind-broken', place.path), []);
  });

  test('a tree that mmdebstrap made boots, powers off, and has what its guest wrote', async () => {
    using place = scratch();
    const tree = join(place.path, 'tree');
    execFileSync('cp', ['-a', '--reflink=auto', '--', debianTree(), tree]);
    writeFileSync(
      join(tree, 'etc/systemd/system/seen.service'),
      '[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\n[Service]\nType=oneshot\n' +
        "ExecStart=/bin/sh -c 'findmnt -n -o SOURCE,FSTYPE / > /root/seen; id -u > /root/id; sync'\nExecStart=systemctl poweroff --no-block\n",
    );
    const end = await vmspawn([
      '--machine=test-tree',
      `--directory=${tree}`,
      ...['--firmware=none', '--ram=512M', '--kvm=no', '--tpm=no', 'systemd.unit=seen.service', 'quiet'],
    ]);
    assert.equal(end.code, 0, end.stderr + end.stdout);
    assert.match(end.stderr, /The kernel is \/boot\/vmlinuz-\S+ in /);
    assert.match(end.stderr, /The guest has powered off/);
    assert.match(readFileSync(join(tree, 'root/seen'), 'utf8'), /^root +virtiofs\n$/);
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
