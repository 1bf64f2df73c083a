import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { machineCommand, nothingLeft, startMachine } from './remnants.ts';
import { bootTestbed, type Finished, type Testbed, testbeds } from './testbed.ts';

for (const name of testbeds) {
  describe(name, () => {
    let testbed: Testbed;
    before(async () => {
      testbed = await bootTestbed(name);
    });
    afterEach(() => nothingLeft(testbed));
    after(() => testbed[Symbol.asyncDispose]());

    /** A start that is to fail, with one sentence for it. */
    const refused = async (more: readonly string[], machine = 'unwanted'): Promise<string> => {
      const { status, stderr }: Finished = await testbed.run(machineCommand(testbed, machine, ...more));
      assert.equal(status, 1, stderr);
      assert.doesNotMatch(stderr, /^ +at /m);
      return stderr;
    };
    /** A start that is to succeed; what it said. */
    const accepted = async (more: readonly string[], machine = 'wanted'): Promise<string> => {
      await using running = await startMachine(testbed, machine, [...more, '--shutdown-timeout=0']);
      await running.kill('SIGTERM');
      const { status, stderr } = await running.ended;
      assert.equal(status, 1, stderr);
      return stderr;
    };
    const shell = (script: string) => testbed.check(['sh', '-c', script]);

    test('a property that this systemd does not know', { timeout: 60_000 }, async () => {
      const words = ['--property=MemoryZSwapMax=1M'];
      if (testbed.systemd >= 253) await accepted(words);
      else assert.match(await refused(words), /machine-unwanted\.scope cannot be started: .*MemoryZSwapMax/);
    });

    test('a property of a wrong type or an unknown one: the plan says so', { timeout: 60_000 }, async () => {
      assert.match(await refused(['--property=MemoryMax=much']), /MemoryMax=much/);
      assert.match(await refused(['--property=Colour=red']), /Colour/);
    });

    test('a slice that does not exist is made', { timeout: 60_000 }, async () => {
      await using machine = await startMachine(testbed, 'sliced', [
        '--slice=new-one',
        '--shutdown-timeout=0',
      ]);
      const shown = await testbed.check(['systemctl', 'show', '-P', 'Slice', 'machine-sliced.scope']);
      assert.equal(shown.stdout.trim(), 'new-one.slice');
      await machine.kill('SIGTERM');
      await machine.ended;
    });

    test('the unit exists already', { timeout: 60_000 }, async () => {
      for (const unit of ['machine-unwanted.scope', 'machine-unwanted-guard.service']) {
        const kind = unit.endsWith('.scope') ? '--scope' : '--quiet';
        await using other = testbed.spawn(['systemd-run', kind, `--unit=${unit}`, 'sleep', '1000']);
        await shell(`until systemctl is-active --quiet ${unit}; do sleep 0.02; done`);
        for (const register of ['auto', 'no']) {
          assert.match(
            await refused([`--register=${register}`]),
            new RegExp(
              `The unit ${unit} cannot be started: .*\\. Stop it first \\(systemctl stop '${unit}'\\)`,
            ),
          );
        }
        // It is still the other one's.
        await testbed.check(['systemctl', 'is-active', unit]);
        await testbed.check(['systemctl', 'stop', unit]);
        await other.ended;
      }
    });

    test('a policy of the bus that denies it', { timeout: 60_000 }, async () => {
      const file = '/etc/dbus-1/system.d/deny.conf';
      const rule =
        '<deny send_interface="org.freedesktop.systemd1.Manager" send_member="StartTransientUnit"/>';
      await shell(`echo '<busconfig><policy user="root">${rule}</policy></busconfig>' > ${file}`);
      await testbed.check(['systemctl', 'reload', 'dbus']);
      assert.match(
        await refused([]),
        /The unit machine-unwanted(-guard\.service|\.scope) cannot be started: .*StartTransientUnit/,
      );
      await testbed.check(['rm', file]);
      await testbed.check(['systemctl', 'reload', 'dbus']);
    });

    test("the system's manager for somebody who is not root", { timeout: 60_000 }, async () => {
      const end = await testbed.run(
        machineCommand(testbed, 'unwanted', '--manager=system', '--settings=no'),
        {
          as: 'tester',
        },
      );
      assert.equal(end.status, 1);
      assert.match(end.stderr, /--manager=system cannot be met: only root/);
    });

    test("the name is another machine's", { timeout: 60_000 }, async () => {
      await testbed.check(['systemd-run', '--unit=other.service', 'sleep', '1000']);
      await shell(`busctl call org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager \
        RegisterMachine sayssus unwanted 0 other container "$(systemctl show -P MainPID other.service)" ''`);
      for (const register of ['auto', 'yes']) {
        const words = await refused([`--register=${register}`]);
        assert.match(words, /The name unwanted is taken by another machine \(of other\): /);
        assert.match(words, /Stop that machine first/);
      }
      assert.match(
        (await testbed.check(['machinectl', 'list', '--no-legend'])).stdout,
        /^unwanted +container/,
      );
      await accepted(['--register=no'], 'unwanted');
      await testbed.check(['systemctl', 'stop', 'other.service']);
    });

    test('machined is masked, or not installed', { timeout: 120_000 }, async () => {
      const sockets = `$(systemctl list-unit-files --no-legend 'systemd-machined*.socket' | cut -d ' ' -f 1)`;
      const check = async (reason: RegExp): Promise<void> => {
        const failure = await refused(['--register=yes']);
        assert.match(failure, /(--register=yes cannot be met|does not register the machine unwanted)/);
        assert.match(failure, reason);
        const words = await accepted([]);
        if (words.includes('machinectl'))
          assert.match(words, /The machine is not known to machinectl, .*[^.]\.$/m);
      };
      await shell(
        `systemctl stop systemd-machined.service ${sockets}; rm -rf /run/systemd/machine/io.systemd.*`,
      );
      await shell(`systemctl mask systemd-machined.service ${sockets}`);
      await check(/masked/);
      const service = '/usr/share/dbus-1/system-services/org.freedesktop.machine1.service';
      await shell(`mv ${service} /root/; systemctl reload dbus`);
      await check(/systemd-machined cannot be started|Install systemd-machined/);
      await shell(`mv /root/${service.split('/').at(-1)} ${service}; systemctl reload dbus`);
      await shell(
        `systemctl unmask systemd-machined.service ${sockets}; systemctl start systemd-machined ${sockets}`,
      );
    });
  });
}
