import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  inEveryTestbed,
  leftovers,
  machinectl,
  machineProperties,
  planOf,
  processesOf,
  smallMachine,
  startSmall,
  systemctl,
  UnitRequests,
  unitProperties,
} from './machine.ts';

const limit = { timeout: 300_000 };
const tester = { as: 'tester' } as const;

/** Only systemd 259 and newer have a machined for users. */
const userMachined = 259;

inEveryTestbed((testbed) => {
  test("a user's machine is in units of the user's manager", limit, async () => {
    const known = testbed().systemd >= userMachined;
    const plan = await planOf(testbed(), 'mine', [], tester);
    assert.equal(plan.manager?.kind, 'user');
    assert.equal(plan.manager?.scope?.via, known ? 'varlink' : 'dbus');
    assert.equal(plan.manager?.registration?.leader, known ? 'qemu' : undefined);
    await using requests = await UnitRequests.watch(testbed(), 'tester');
    await using machine = await startSmall(testbed(), 'mine', [], tester);
    assert.match(machine.stdout, /tpm: present/);
    const supervisor = { pid: await machine.pid(), program: 'node' };
    assert.deepEqual(await requests.requester('machine-mine-guard.service'), supervisor);
    assert.deepEqual(await requests.requester('machine-mine-swtpm.socket'), supervisor);
    const scope = await requests.requester('machine-mine.scope');
    if (known) assert.equal(scope.program, 'systemd-machine');
    else assert.deepEqual(scope, supervisor);

    const programs = async (unit: string): Promise<string[]> =>
      (await processesOf(testbed(), unit, 'tester')).map(({ program }) => program);
    assert.deepEqual(await programs('machine-mine.scope'), ['qemu-system-x86']);
    assert.deepEqual(await programs('machine-mine-swtpm.service'), ['swtpm']);
    const inSlice = '/user.slice/user-1000.slice/user@1000.service/machine.slice/machine-mine.scope';
    assert.deepEqual(
      await unitProperties(testbed(), 'machine-mine.scope', ['ControlGroup', 'Slice'], 'tester'),
      { ControlGroup: inSlice, Slice: 'machine.slice' },
    );
    assert.deepEqual(
      await unitProperties(
        testbed(),
        'machine-mine-guard.service',
        ['SubState', 'BindsTo', 'RuntimeDirectory'],
        'tester',
      ),
      { SubState: 'exited', BindsTo: 'machine-mine.scope', RuntimeDirectory: 'vmspawn/mine' },
    );
    const swtpm = await unitProperties(
      testbed(),
      'machine-mine-swtpm.service',
      ['ActiveState', 'BindsTo', 'NoNewPrivileges', 'RestrictAddressFamilies', 'MemoryDenyWriteExecute'],
      'tester',
    );
    assert.deepEqual(swtpm, {
      ActiveState: 'active',
      BindsTo: 'machine-mine.scope',
      NoNewPrivileges: 'yes',
      RestrictAddressFamilies: 'AF_UNIX',
      MemoryDenyWriteExecute: 'yes',
    });
    const place = '/run/user/1000/vmspawn/mine';
    const { stdout: files } = await testbed().check(
      ['stat', '--format=%F %a %U', place, `${place}/control`, `${place}/tpm.sock`],
      tester,
    );
    assert.equal(files, 'directory 700 tester\nsocket 600 tester\nsocket 600 tester\n');
    // The system's manager and machined have nothing to do with it.
    assert.equal(
      await systemctl(testbed(), 'root', 'list-units', '--all', '--no-legend', 'machine-mine*'),
      '',
    );
    assert.equal(await machinectl(testbed(), 'root', 'list', '--no-legend'), '');

    await systemctl(testbed(), 'tester', 'stop', 'machine-mine.scope');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /Power-off requested: powering the guest off/);
    assert.match(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'mine', 'tester'), []);
  });

  test("the user's machined, where there is one", limit, async () => {
    if (testbed().systemd < userMachined) {
      const end = await testbed().run(smallMachine(testbed(), 'known', '--register=yes'), tester);
      assert.equal(end.status, 1, end.stderr);
      assert.match(end.stderr, /--register=yes cannot be met: no machined runs for users/);
    } else {
      await using machine = await startSmall(testbed(), 'known', ['--register=yes'], tester);
      assert.match(await machinectl(testbed(), 'tester', 'list', '--no-legend'), /^known +vm +vmspawn /);
      const shown = await machineProperties(testbed(), 'known', 'tester');
      const [qemu] = await processesOf(testbed(), 'machine-known.scope', 'tester');
      assert.equal(Number(shown['Leader']), qemu?.pid);
      assert.equal(shown['Unit'], 'machine-known.scope');
      await machinectl(testbed(), 'tester', 'poweroff', 'known');
      const end = await machine.ended;
      assert.equal(end.status, 0, end.stderr);
      assert.match(end.stderr, /The guest has powered off/);
    }
    assert.deepEqual(await leftovers(testbed(), 'known', 'tester'), []);
  });

  test('root has no user manager, and tester none of the system', limit, async () => {
    for (const [as, word, message] of [
      ['root', '--user', /--manager=user cannot be met: XDG_RUNTIME_DIR is not set/],
      [
        'tester',
        '--system',
        /--manager=system cannot be met: only root can have machines of the system manager/,
      ],
    ] as const) {
      const end = await testbed().run(smallMachine(testbed(), 'refused', word), { as });
      assert.equal(end.status, 1, end.stderr);
      assert.match(end.stderr, message);
      assert.deepEqual(await leftovers(testbed(), 'refused', as), []);
    }
  });
});
