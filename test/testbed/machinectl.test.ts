import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  inEveryTestbed,
  leftovers,
  machinectl,
  machineProperties,
  planOf,
  processesOf,
  runtimeDirectory,
  smallMachine,
  startSmall,
  UnitRequests,
  unitProperties,
} from './machine.ts';

const limit = { timeout: 300_000 };
const uuid = '2f1b6a0e-53a4-4c9e-9d0a-6b5a1a1f0c3d';

inEveryTestbed((testbed) => {
  test(
    'list, show, status, reboot and poweroff, by the interface that is not the default',
    limit,
    async () => {
      const systemd = testbed().systemd;
      // D-Bus where varlink is the default, and the other way round; 252 has no choice.
      const words = [
        `--uuid=${uuid}`,
        ...(systemd === 252 ? [] : [systemd === 257 ? '--scope=varlink' : '--scope=dbus']),
      ];
      const plan = await planOf(testbed(), 'asked', words);
      assert.equal(plan.manager?.scope?.via, systemd === 257 ? 'varlink' : 'dbus');
      await using requests = await UnitRequests.watch(testbed());
      await using machine = await startSmall(testbed(), 'asked', words);
      const requester = await requests.requester('machine-asked.scope');
      assert.equal(requester.program, systemd === 257 ? 'systemd-machine' : 'node');

      const relay = systemd < 262;
      const inScope = await processesOf(testbed(), 'machine-asked.scope');
      assert.deepEqual(
        inScope.map(({ program }) => program),
        relay ? ['qemu-system-x86', 'vmspawn-leader'] : ['qemu-system-x86'],
      );
      const leader = inScope.at(relay ? 1 : 0);
      assert.match(await machinectl(testbed(), 'root', 'list', '--no-legend'), /^asked +vm +vmspawn /);
      const known = await machineProperties(testbed(), 'asked');
      assert.deepEqual(
        [known['Name'], known['Class'], known['Service'], known['Id'], known['Unit'], known['State']],
        ['asked', 'vm', 'vmspawn', uuid.replaceAll('-', ''), 'machine-asked.scope', 'running'],
      );
      assert.equal(Number(known['Leader']), leader?.pid);
      const status = await machinectl(testbed(), 'root', 'status', '--no-pager', 'asked');
      assert.match(status, new RegExp(`Leader: ${leader?.pid} \\(${leader?.program}\\)`));
      assert.match(status, /Service: vmspawn; class vm/);
      assert.match(status, /Unit: machine-asked\.scope/);

      const booted = machine.stdout.length;
      await machinectl(testbed(), 'root', 'reboot', 'asked');
      await machine.seen(/vmspawn-small: ready/, booted);

      await machinectl(testbed(), 'root', 'poweroff', 'asked');
      const end = await machine.ended;
      assert.equal(end.status, 0, end.stderr);
      assert.match(end.stderr, /Power-off requested: powering the guest off/);
      assert.match(end.stderr, /The guest has powered off/);
      assert.deepEqual(await leftovers(testbed(), 'asked'), []);
    },
  );

  test('terminate ends it at once, also when the guest is being powered off already', limit, async () => {
    // Such a guest would keep the machine for ever.
    const words = ['--shutdown-timeout=infinity', 'ignore-power-button'];
    await using machine = await startSmall(testbed(), 'doomed', words);
    // 252 has no varlinkctl.
    if (testbed().systemd >= 257) {
      const control = `${runtimeDirectory('doomed')}/control`;
      const call = async (method: string): Promise<string> => {
        const name = `io.systemd.MachineInstance.${method}`;
        return (await testbed().check(['varlinkctl', 'call', control, name, '{}'])).stdout;
      };
      assert.deepEqual(JSON.parse(await call('Describe')), { running: true, status: 'running' });
      const info = await testbed().check(['varlinkctl', 'info', control]);
      assert.match(info.stdout, /io\.systemd\.MachineInstance/);
      await call('PowerOff');
    } else {
      await machinectl(testbed(), 'root', 'poweroff', 'doomed');
    }
    await machine.seen(/power button ignored/);
    assert.equal((await machineProperties(testbed(), 'doomed'))['State'], 'running');
    await machinectl(testbed(), 'root', 'terminate', 'doomed');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /Termination requested: ending the virtual machine/);
    assert.doesNotMatch(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'doomed'), []);
  });

  test('a name that another machine has is refused with its owner', limit, async () => {
    const { stdout } = await testbed().check([
      ...['systemd-run', '--quiet', '--unit=other.service', '--slice=machine.slice', 'sleep', '1000'],
    ]);
    assert.equal(stdout, '');
    const { MainPID: pid = '' } = await unitProperties(testbed(), 'other.service', ['MainPID']);
    await testbed().check([
      ...['busctl', 'call', 'org.freedesktop.machine1', '/org/freedesktop/machine1'],
      ...['org.freedesktop.machine1.Manager', 'RegisterMachine', 'sayssus'],
      ...['taken', '0', 'somebody', 'vm', pid, ''],
    ]);
    const end = await testbed().run(smallMachine(testbed(), 'taken'));
    assert.equal(end.status, 1, end.stderr);
    assert.match(end.stderr, /The name taken is taken by another machine \(of somebody\)/);
    await testbed().check(['systemctl', 'stop', 'other.service']);
    assert.deepEqual(await leftovers(testbed(), 'taken'), []);
  });
});
