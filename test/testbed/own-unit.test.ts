import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  inEveryTestbed,
  leftovers,
  machinectl,
  machineProperties,
  planOf,
  processesOf,
  startSmall,
  systemctl,
  unitProperties,
} from './machine.ts';

const limit = { timeout: 300_000 };

inEveryTestbed((testbed) => {
  test('--keep-unit: everything is in the unit that vmspawn was started in', limit, async () => {
    const place = { unit: true, unitName: 'kept.service', properties: ['KillMode=mixed'] };
    const plan = await planOf(testbed(), 'kept', ['--keep-unit'], place);
    assert.equal(plan.manager?.scope, null);
    assert.equal(plan.manager?.guard, null);
    assert.ok(plan.auxiliaries.length === 1 && plan.auxiliaries[0]?.units === null);
    await using machine = await startSmall(testbed(), 'kept', ['--keep-unit'], place);
    assert.match(machine.stdout, /tpm: present/);
    const relay = testbed().systemd < 262;
    const inside = await processesOf(testbed(), 'kept.service');
    assert.deepEqual(
      inside.map(({ program }) => program),
      ['node', 'qemu-system-x86', 'swtpm', ...(relay ? ['vmspawn-leader'] : [])],
    );
    assert.equal(await systemctl(testbed(), 'root', 'list-units', '--all', '--no-legend', 'machine-*'), '');
    const known = await machineProperties(testbed(), 'kept');
    assert.equal(known['Unit'], 'kept.service');
    assert.equal(known['Service'], 'vmspawn');
    assert.equal(Number(known['Leader']), inside[relay ? 3 : 1]?.pid);
    await systemctl(testbed(), 'root', 'stop', 'kept.service');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /SIGTERM received: powering the guest off/);
    assert.match(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'kept'), []);
  });

  test('in a mount namespace of its own, daemons are children', limit, async () => {
    const place = { unit: true, unitName: 'private.service', properties: ['PrivateTmp=yes'] };
    const plan = await planOf(testbed(), 'private', [], place);
    assert.equal(plan.manager?.scope?.name, 'machine-private.scope');
    assert.equal(plan.manager?.guard, null);
    assert.ok(plan.auxiliaries.length === 1 && plan.auxiliaries[0]?.units === null);
    await using machine = await startSmall(testbed(), 'private', [], place);
    assert.match(machine.stdout, /tpm: present/);
    assert.deepEqual(
      (await processesOf(testbed(), 'private.service')).map(({ program }) => program),
      ['node', 'swtpm'],
    );
    assert.ok(
      (await processesOf(testbed(), 'machine-private.scope')).some(
        ({ program }) => program === 'qemu-system-x86',
      ),
    );
    const units = await systemctl(
      testbed(),
      'root',
      'list-units',
      '--all',
      '--plain',
      '--no-legend',
      'machine-*',
    );
    assert.match(units, /^machine-private\.scope +loaded active running/);
    assert.equal(units.split('\n').length, 1);
    assert.deepEqual(await unitProperties(testbed(), 'private.service', ['PrivateTmp']), {
      PrivateTmp: 'yes',
    });
    assert.match(await machinectl(testbed(), 'root', 'list', '--no-legend'), /^private +vm +vmspawn /);
    await machinectl(testbed(), 'root', 'poweroff', 'private');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'private'), []);
  });
});
