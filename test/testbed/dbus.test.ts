import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { bootTestbed, type Testbed, testbeds } from './testbed.ts';

for (const name of testbeds) {
  describe(name, () => {
    let testbed: Testbed;
    before(async () => {
      testbed = await bootTestbed(name);
    });
    after(() => testbed[Symbol.asyncDispose]());

    for (const [kind, as] of [
      ['system', 'root'],
      ['user', 'tester'],
    ] as const) {
      test(`units and machines over the ${kind}'s bus`, { timeout: 120_000 }, async () => {
        const fixture = `${testbed.checkout}/build/test/testbed/fixtures/bus.cjs`;
        const { stdout, stderr } = await testbed.check(['node', fixture, kind], { as, unit: true });
        assert.equal(stderr, '');
        const { version, ...facts } = JSON.parse(stdout);
        assert.equal(Number.parseInt(version, 10), testbed.systemd);
        assert.deepEqual(facts, {
          scope: { Description: 'A machine', ActiveState: 'active', CollectMode: 'inactive-or-failed' },
          numbers: ['5000000', '1073741824'],
          inScope: true,
          twice: 'org.freedesktop.systemd1.UnitExists',
          attached: true,
          listening: true,
          service: ['inactive'],
          ...(kind === 'system' && {
            machine: ['running', 'bus-test.scope'],
            leader: true,
            machineTwice: 'org.freedesktop.machine1.MachineExists',
            machineGone: [
              'org.freedesktop.DBus.Error.UnknownObject',
              'org.freedesktop.machine1.NoSuchMachine',
            ],
          }),
          failing: 'failed',
          missing: 'org.freedesktop.systemd1.NoSuchUnit',
          states: ['inactive', 'active', 'deactivating', 'inactive'],
          abandoned: { SubState: 'abandoned' },
          killed: 'SIGKILL',
        });
        // Nothing is left of it in the manager.
        const manager = kind === 'system' ? '--system' : '--user';
        const units = await testbed.check(
          ['systemctl', manager, 'list-units', '--all', '--plain', 'bus-test*'],
          {
            as,
          },
        );
        assert.match(units.stdout, /^0 loaded units listed/m);
      });
    }
  });
}
