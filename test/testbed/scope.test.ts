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

inEveryTestbed((testbed) => {
  test('a machine in its scope, with its daemons and its guard in units beside it', limit, async () => {
    const systemd = testbed().systemd;
    const plan = await planOf(testbed(), 'plain');
    assert.equal(plan.manager?.scope?.via, systemd === 262 ? 'varlink' : 'dbus');
    assert.equal(plan.manager?.registration?.via, systemd === 252 ? 'dbus' : 'varlink');
    assert.equal(plan.manager?.registration?.leader, systemd === 262 ? 'qemu' : 'relay');

    await using requests = await UnitRequests.watch(testbed());
    await using machine = await startSmall(testbed(), 'plain', ['ignore-power-button']);
    assert.match(machine.stdout, /tpm: present/);
    const supervisor = { pid: await machine.pid(), program: 'node' };
    const scope = await requests.requester('machine-plain.scope');
    if (systemd === 262) assert.equal(scope.program, 'systemd-machine');
    else assert.deepEqual(scope, supervisor);
    for (const unit of ['machine-plain-guard.service', 'machine-plain-swtpm.socket']) {
      assert.deepEqual(await requests.requester(unit), supervisor);
    }

    // Who is where: the supervisor in the shell's group, in no unit.
    const inScope = await processesOf(testbed(), 'machine-plain.scope');
    assert.deepEqual(
      inScope.map(({ program }) => program),
      systemd === 262 ? ['qemu-system-x86'] : ['qemu-system-x86', 'vmspawn-leader'],
    );
    const { stdout: group } = await testbed().check(['grep', '^0:', `/proc/${supervisor.pid}/cgroup`]);
    assert.equal(group, '0::/visitors\n');
    assert.deepEqual(
      (await processesOf(testbed(), 'machine-plain-swtpm.service')).map(({ program }) => program),
      ['swtpm'],
    );

    assert.deepEqual(
      await unitProperties(testbed(), 'machine-plain.scope', [
        'ActiveState',
        'Slice',
        'Description',
        'CollectMode',
      ]),
      {
        ActiveState: 'active',
        Slice: 'machine.slice',
        Description: 'Virtual Machine plain',
        CollectMode: 'inactive-or-failed',
      },
    );
    const guard = await unitProperties(testbed(), 'machine-plain-guard.service', [
      ...['ActiveState', 'SubState', 'BindsTo', 'Slice', 'RuntimeDirectory', 'TimeoutStopUSec', 'After'],
    ]);
    assert.match(guard['After'] ?? '', /(^| )machine-plain\.scope( |$)/);
    assert.deepEqual(
      { ...guard, After: '' },
      {
        ActiveState: 'active',
        SubState: 'exited',
        BindsTo: 'machine-plain.scope',
        Slice: 'machine.slice',
        RuntimeDirectory: 'vmspawn/plain',
        TimeoutStopUSec: '2min',
        After: '',
      },
    );
    const socket = await unitProperties(testbed(), 'machine-plain-swtpm.socket', [
      ...['ActiveState', 'BindsTo', 'Slice', 'Listen', 'SocketMode', 'RemoveOnStop', 'Before'],
    ]);
    assert.match(socket['Before'] ?? '', /(^| )machine-plain\.scope( |$)/);
    assert.deepEqual(
      { ...socket, Before: '' },
      {
        ActiveState: 'active',
        BindsTo: 'machine-plain.scope',
        Slice: 'machine.slice',
        Listen: '/run/vmspawn/plain/tpm.sock (Stream)',
        SocketMode: '0600',
        RemoveOnStop: 'yes',
        Before: '',
      },
    );
    const service = await unitProperties(testbed(), 'machine-plain-swtpm.service', [
      ...[
        'ActiveState',
        'BindsTo',
        'Slice',
        'Before',
        'After',
        'ProtectSystem',
        'PrivateNetwork',
        'PrivateDevices',
      ],
      ...['NoNewPrivileges', 'CapabilityBoundingSet', 'RestrictAddressFamilies', 'ReadWritePaths'],
    ]);
    assert.match(service['Before'] ?? '', /(^| )machine-plain\.scope( |$)/);
    assert.doesNotMatch(service['After'] ?? '', /machine-plain\.scope/);
    assert.deepEqual(
      { ...service, Before: '', After: '' },
      {
        ActiveState: 'active',
        BindsTo: 'machine-plain.scope',
        Slice: 'machine.slice',
        Before: '',
        After: '',
        ProtectSystem: 'strict',
        PrivateNetwork: 'yes',
        PrivateDevices: 'yes',
        NoNewPrivileges: 'yes',
        CapabilityBoundingSet: 'cap_dac_override',
        RestrictAddressFamilies: 'AF_UNIX',
        ReadWritePaths: '/run/vmspawn/plain/tpm',
      },
    );
    const security = await testbed().check([
      ...['systemd-analyze', 'security', '--no-pager', 'machine-plain-swtpm.service'],
    ]);
    const exposure = Number(/exposure level .*: ([\d.]+)/.exec(security.stdout)?.[1]);
    assert.ok(exposure < 2, security.stdout);

    const { stdout: files } = await testbed().check([
      ...['stat', '--format=%F %a %U %n', '/run/vmspawn', '/run/vmspawn/plain'],
      ...['/run/vmspawn/plain/control', '/run/vmspawn/plain/tpm.sock'],
    ]);
    assert.equal(
      files,
      'directory 700 root /run/vmspawn\ndirectory 700 root /run/vmspawn/plain\n' +
        'socket 600 root /run/vmspawn/plain/control\nsocket 600 root /run/vmspawn/plain/tpm.sock\n',
    );

    // A guest that takes its time: all that is beside it is to wait.
    await systemctl(testbed(), 'root', 'stop', '--no-block', 'machine-plain.scope');
    await machine.seen(/power button ignored/);
    assert.deepEqual(
      await unitProperties(testbed(), 'machine-plain-guard.service', ['ActiveState', 'SubState']),
      { ActiveState: 'deactivating', SubState: 'stop' },
    );
    const jobs = (await systemctl(testbed(), 'root', 'list-jobs', '--no-legend', '--plain'))
      .split('\n')
      .map((line) => line.trim().split(/ +/).slice(1).join(' '))
      .filter((line) => line.startsWith('machine-plain'))
      .sort();
    assert.deepEqual(jobs, [
      'machine-plain-guard.service stop running',
      'machine-plain-swtpm.service stop waiting',
      'machine-plain-swtpm.socket stop waiting',
      'machine-plain.scope stop waiting',
    ]);
    assert.deepEqual(
      (await processesOf(testbed(), 'machine-plain-swtpm.service')).map(({ program }) => program),
      ['swtpm'],
    );
    machine.type('poweroff');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /Power-off requested: powering the guest off/);
    assert.doesNotMatch(end.stderr, /swtpm/);
    assert.deepEqual(await leftovers(testbed(), 'plain'), []);
  });

  test('slice and properties as asked, registered; its slice is stopped', limit, async () => {
    const words = [
      '--slice=testbed-own.slice',
      ...['MemoryMax=1G', 'CPUWeight=42', 'CPUQuota=150%', 'TasksMax=200', 'OOMPolicy=continue'],
      ...['RuntimeMaxSec=1h', 'SendSIGHUP=yes', 'Documentation=man:qemu(1) https://example.com/'],
      'Description=A machine with a name',
    ].map((word, index) => (index === 0 ? word : `--property=${word}`));
    const plan = await planOf(testbed(), 'sliced', words);
    assert.equal(plan.manager?.scope?.via, 'dbus');
    await using requests = await UnitRequests.watch(testbed());
    await using machine = await startSmall(testbed(), 'sliced', words);
    assert.equal((await requests.requester('machine-sliced.scope')).pid, await machine.pid());
    assert.deepEqual(
      await unitProperties(testbed(), 'machine-sliced.scope', [
        ...['Slice', 'MemoryMax', 'CPUWeight', 'CPUQuotaPerSecUSec', 'TasksMax', 'OOMPolicy'],
        ...['RuntimeMaxUSec', 'SendSIGHUP', 'Documentation', 'Description', 'TimeoutStopUSec'],
      ]),
      {
        Slice: 'testbed-own.slice',
        MemoryMax: '1073741824',
        CPUWeight: '42',
        CPUQuotaPerSecUSec: '1.500000s',
        TasksMax: '200',
        OOMPolicy: 'continue',
        RuntimeMaxUSec: '1h',
        SendSIGHUP: 'yes',
        Documentation: '"man:qemu(1)" https://example.com/',
        Description: 'A machine with a name',
        TimeoutStopUSec: '10s',
      },
    );
    for (const unit of ['guard.service', 'swtpm.socket', 'swtpm.service']) {
      const { Slice: slice } = await unitProperties(testbed(), `machine-sliced-${unit}`, ['Slice']);
      assert.equal(slice, 'testbed-own.slice', unit);
    }
    const known = await machineProperties(testbed(), 'sliced');
    assert.equal(known['Unit'], 'machine-sliced.scope');
    const inScope = await processesOf(testbed(), 'machine-sliced.scope');
    const leader = testbed().systemd === 262 ? 'qemu-system-x86' : 'vmspawn-leader';
    assert.equal(inScope.find(({ program }) => program === leader)?.pid, Number(known['Leader']));
    assert.equal(inScope.length, testbed().systemd === 262 ? 1 : 2);

    await systemctl(testbed(), 'root', 'stop', 'testbed-own.slice');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'sliced'), []);
  });

  test('machine.slice is stopped, with a machine that is not registered', limit, async () => {
    await using requests = await UnitRequests.watch(testbed());
    await using machine = await startSmall(testbed(), 'quiet', ['--register=no']);
    assert.equal((await requests.requester('machine-quiet.scope')).pid, await machine.pid());
    assert.deepEqual(
      (await processesOf(testbed(), 'machine-quiet.scope')).map(({ program }) => program),
      ['qemu-system-x86'],
    );
    assert.equal(await machinectl(testbed(), 'root', 'list', '--no-legend'), '');
    await systemctl(testbed(), 'root', 'stop', 'machine.slice');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'quiet'), []);
  });

  test('SIGTERM for a supervisor in a shell', limit, async () => {
    await using machine = await startSmall(testbed(), 'shell', ['--register=yes']);
    assert.match(await machinectl(testbed(), 'root', 'list', '--no-legend'), /^shell +vm +vmspawn /);
    await machine.kill('SIGTERM');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /SIGTERM received: powering the guest off/);
    assert.match(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'shell'), []);
  });

  test('without a manager, daemons are children', limit, async () => {
    const words = ['--manager=none'];
    assert.equal((await planOf(testbed(), 'alone', words)).manager, null);
    await using machine = await startSmall(testbed(), 'alone', words);
    const supervisor = await machine.pid();
    const { stdout } = await testbed().check(['ps', '--ppid', String(supervisor), '-o', 'comm=']);
    assert.deepEqual(stdout.trim().split('\n').sort(), ['qemu-system-x86', 'swtpm']);
    assert.equal(await systemctl(testbed(), 'root', 'list-units', '--all', '--no-legend', 'machine-*'), '');
    assert.equal(await machinectl(testbed(), 'root', 'list', '--no-legend'), '');
    if (testbed().systemd === 252) {
      await machine.kill('SIGTERM');
    } else {
      const method = 'io.systemd.MachineInstance.Terminate';
      await testbed().check(['varlinkctl', 'call', '/run/vmspawn/alone/control', method, '{}']);
    }
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.deepEqual(await leftovers(testbed(), 'alone'), []);
  });

  test('what cannot be had is said, and nothing is made', limit, async () => {
    const refused: [string[], RegExp][] = [
      [['--scope=varlink', '--register=no'], /--scope=varlink cannot be met: .*--register=no/],
      [['--scope=varlink', '--slice=a.slice'], /--slice=a\.slice cannot be combined with --scope=varlink/],
      [['--keep-unit'], /--keep-unit: vmspawn does not run in a unit/],
      [['--user'], /--manager=user|user manager/],
    ];
    if (testbed().systemd === 252) {
      refused.push([['--scope=varlink'], /--scope=varlink cannot be met: this machined makes no scopes/]);
    }
    for (const [words, message] of refused) {
      const end = await testbed().run(smallMachine(testbed(), 'refused', ...words));
      assert.equal(end.status, 1, `${words.join(' ')}: ${end.stderr}`);
      assert.match(end.stderr, message);
      assert.deepEqual(await leftovers(testbed(), 'refused'), []);
    }
  });
});
