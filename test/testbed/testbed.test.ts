import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { until } from '../system/harness.ts';
import { bootTestbed, type Testbed, testbeds } from './testbed.ts';

const versions = { 'debian-12': 252, 'debian-13': 257, 'debian-testing': 262 } as const;

for (const name of testbeds) {
  describe(name, () => {
    let testbed: Testbed;
    before(async () => {
      testbed = await bootTestbed(name);
    });
    after(() => testbed[Symbol.asyncDispose]());

    const said = async (...command: string[]): Promise<string> =>
      (await testbed.check(command)).stdout.trim();
    const saidToTester = async (...command: string[]): Promise<string> =>
      (await testbed.check(command, { as: 'tester' })).stdout.trim();

    test('systemd is PID 1, of the version that is wanted, with nothing failed', async () => {
      assert.equal(testbed.systemd, versions[name]);
      assert.equal(await said('cat', '/proc/1/comm'), 'systemd');
      assert.equal(await said('systemctl', 'is-system-running'), 'running');
      assert.equal(await said('hostname'), name);
    });

    test('machined answers', async () => {
      assert.equal(await said('machinectl', 'list', '--no-legend'), '');
      const socket = '/run/systemd/machine/io.systemd.Machine';
      assert.equal((await testbed.run(['test', '-S', socket])).status === 0, testbed.systemd >= 257);
    });

    test('tester has a user manager and a session bus', async () => {
      assert.equal(await saidToTester('id', '-un'), 'tester');
      assert.equal(await saidToTester('systemctl', '--user', 'is-system-running'), 'running');
      const manager = [
        'org.freedesktop.systemd1',
        '/org/freedesktop/systemd1',
        'org.freedesktop.systemd1.Manager',
      ];
      assert.match(await saidToTester('busctl', '--user', 'get-property', ...manager, 'Version'), /^s "/);
    });

    test('a command runs in a service of its own, or outside any unit', async () => {
      const command = ['grep', '^0:', '/proc/self/cgroup'];
      for (const as of ['root', 'tester'] as const) {
        const outside = await testbed.check(command, { as });
        assert.equal(outside.stdout, '0::/visitors\n');
        const inside = await testbed.check(command, { as, unit: true, unitName: 'asked.service' });
        const manager = as === 'root' ? '' : '/user.slice/user-1000.slice/user@1000.service';
        assert.match(inside.stdout, new RegExp(`^0::${manager}/(system|app)\\.slice/asked\\.service\n$`));
      }
    });

    test('input, environment, exit status and both outputs get through', async () => {
      const command = ['sh', '-c', 'cat; echo "$WORD" >&2; exit 7'];
      for (const as of ['root', 'tester'] as const) {
        for (const unit of [false, true]) {
          const end = await testbed.run(command, { as, unit, input: 'in', environment: { WORD: 'a word' } });
          assert.deepEqual(end, { status: 7, stdout: 'in', stderr: 'a word\n' });
        }
      }
    });

    test('a process can be signalled, and is gone when its time is over', async () => {
      for (const unit of [false, true]) {
        for (const as of ['root', 'tester'] as const) {
          await using running = testbed.spawn(
            ['sh', '-c', 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'],
            { as, unit },
          );
          await running.seen(/ready/);
          assert.equal(await said('cat', `/proc/${await running.pid()}/comm`), 'sh');
          await running.kill('SIGTERM');
          assert.equal((await running.ended).status, 9);
        }
        await assert.rejects(
          testbed.run(['sleep', '1234'], { unit, timeout: 300 }),
          /not over after 300 ms: sleep 1234/,
        );
        assert.equal((await testbed.run(['pgrep', '-x', 'sleep', '-a'])).stdout.includes('1234'), false);
      }
    });

    test('Node.js runs, and this checkout and the guests are there, read-only', async () => {
      assert.equal(await saidToTester('node', '-p', 'process.version'), process.version);
      assert.equal(
        await saidToTester('cat', `${testbed.checkout}/package.json`),
        readFileSync(asset('package.json'), 'utf8').trim(),
      );
      for (const file of [`${testbed.checkout}/new`, '/guests/new']) {
        assert.match((await testbed.run(['touch', file])).stderr, /Read-only file system/);
      }
    });

    for (const as of ['root', 'tester'] as const) {
      test(`vmspawn boots the small guest as ${as}`, { timeout: 120_000 }, async () => {
        const { kernel, initrd } = testbed.guest.small;
        const words = ['--machine=first', `--linux=${kernel}`, `--initrd=${initrd}`, '--firmware=none'];
        await using machine = testbed.spawn(
          [testbed.program, ...words, '--ram=256M', '--tpm=no', '--kvm=no', '--manager=none'],
          { as },
        );
        await machine.seen(/vmspawn-small: ready/);
        machine.type('poweroff');
        const end = await machine.ended;
        assert.equal(end.status, 0, end.stderr);
      });
    }

    if (name === 'debian-testing') {
      test('systemd-vmspawn is there to compare with', async () => {
        assert.match(await said('systemd-vmspawn', '--version'), /^systemd 262/);
      });
    }
  });
}

test('what a start writes is gone with it, and it leaves no process, mount or cgroup', async () => {
  const mounts = (): string => readFileSync('/proc/self/mountinfo', 'utf8');
  const mountsBefore = mounts();
  const first = await bootTestbed('debian-13');
  await first.check([
    'sh',
    '-c',
    'echo written > /etc/written; sleep 1000 > /dev/null 2>&1 & setsid sleep 1000 > /dev/null 2>&1 &',
  ]);
  await using left = first.spawn(['sleep', '1000']);
  await left.pid();
  await first[Symbol.asyncDispose]();
  assert.equal((await left.ended).status, 137);
  assert.equal(existsSync(first.cgroup), false);
  assert.equal(existsSync(`/proc/${first.pid}`), false);
  assert.equal(mounts(), mountsBefore);
  await using second = await bootTestbed('debian-13');
  assert.equal((await second.run(['test', '-e', '/etc/written'])).status, 1);
});

test('it ends with the process that started it, also one that is killed', { timeout: 60_000 }, async () => {
  const owner = spawn(process.execPath, [asset('build/test/testbed/fixtures/owner.cjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [data]: unknown[] = await once(owner.stdout, 'data');
  const [pid = '', cgroup = ''] = String(data).trim().split(' ');
  assert.ok(existsSync(cgroup));
  assert.ok(existsSync(`/proc/${pid}`));
  owner.kill('SIGKILL');
  await until(() => !existsSync(cgroup) && !existsSync(`/proc/${pid}`));
});

test('one that does not start says why', () => {
  assert.throws(
    () => execFileSync(asset('test/testbed/boot'), ['name', '/nowhere'], { stdio: 'pipe', encoding: 'utf8' }),
    /nowhere/,
  );
});
