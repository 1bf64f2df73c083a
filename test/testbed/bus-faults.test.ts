import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { TestbedProcess } from './process.ts';
import { machineCommand, nothingLeft, startMachine } from './remnants.ts';
import { bootTestbed, type Testbed, testbeds } from './testbed.ts';

const tpm = ['--tpm=yes', '--tpm-state=off'];

for (const name of testbeds) {
  describe(name, () => {
    let testbed: Testbed;
    before(async () => {
      testbed = await bootTestbed(name);
    });
    afterEach(() => nothingLeft(testbed));
    after(() => testbed[Symbol.asyncDispose]());

    let sockets = 0;
    /** A bus that fails at the `count`-th mention of `word`, and its socket. */
    const failingBus = async (
      word: string,
      count: number,
      end: 'gone' | 'mute',
    ): Promise<AsyncDisposable & { environment: Record<string, string>; path: string }> => {
      sockets += 1;
      const path = `/run/failing-bus-${sockets}`;
      const fixture = `${testbed.checkout}/build/test/testbed/fixtures/bus-proxy.cjs`;
      const proxy: TestbedProcess = testbed.spawn(['node', fixture, path, word, String(count), end]);
      await proxy.seen(/ready/);
      return {
        path,
        environment: { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${path}` },
        [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
      };
    };

    /** A start that is to fail: one sentence that names the bus, and no stack of a program that has given up. */
    const refused = async (
      environment: Record<string, string>,
      path: string,
      ...more: string[]
    ): Promise<string> => {
      const { status, stderr } = await testbed.run(machineCommand(testbed, 'unwanted', ...tpm, ...more), {
        environment,
      });
      assert.equal(status, 1, stderr);
      assert.match(stderr, new RegExp(`^vmspawn: .*unix:path=${path}\\b.*\n$`));
      return stderr;
    };

    for (const manager of ['auto', 'system']) {
      test(`no bus where the environment says it is, --manager=${manager}`, {
        timeout: 60_000,
      }, async () => {
        const environment = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/run/missing' };
        const words = await refused(environment, '/run/missing', `--manager=${manager}`);
        assert.match(words, /The service manager cannot be reached: .*ENOENT.* --manager=none\.$/m);
      });
    }

    test('a bus that accepts and never answers', { timeout: 60_000 }, async () => {
      await using bus = await failingBus('', 1, 'mute');
      const words = await refused(bus.environment, bus.path, '--manager=auto');
      assert.match(words, /The service manager cannot be reached: .* did not answer .*Hello within 10\.0 s/);
    });

    test('a bus that dies in the middle of each call of a start', { timeout: 180_000 }, async () => {
      // For scope (where machined does not make it), guard and swtpm; then for the watch over swtpm.
      const units = testbed.systemd >= 261 ? 2 : 3;
      for (let count = 1; count <= units; count++) {
        await using bus = await failingBus('StartTransientUnit', count, 'gone');
        await refused(bus.environment, bus.path);
        await nothingLeft(testbed);
      }
      await using bus = await failingBus('Subscribe', 1, 'gone');
      await refused(bus.environment, bus.path);
    });

    test('a bus that is mute in the middle of a start, which is given up', { timeout: 120_000 }, async () => {
      await using bus = await failingBus('StartTransientUnit', 1, 'mute');
      await using start = testbed.spawn(machineCommand(testbed, 'unwanted', ...tpm), {
        environment: bus.environment,
      });
      await testbed.check(['sh', '-c', 'until [ -S /run/vmspawn/unwanted/control ]; do sleep 0.05; done']);
      await start.kill('SIGTERM');
      const end = await start.ended;
      assert.equal(end.status, 143, end.stderr);
      assert.match(end.stderr, /^vmspawn: The start was given up: SIGTERM received\.$/m);
    });

    test('the bus is restarted, then stopped for good while machines run', {
      timeout: 180_000,
    }, async () => {
      const words = [...tpm, '--console=interactive'];
      await using first = await startMachine(testbed, 'patient', words);
      await using second = await startMachine(testbed, 'stoic', words);
      await testbed.check(['systemctl', 'restart', 'dbus.service']);
      await first.seen(/vmspawn-small: ready/);
      first.type('poweroff');
      const firstEnd = await first.ended;
      assert.equal(firstEnd.status, 0, firstEnd.stderr);
      assert.doesNotMatch(firstEnd.stderr, /swtpm|cleaned up/);
      await testbed.check(['systemctl', 'stop', 'dbus.socket', 'dbus.service']);
      await second.seen(/vmspawn-small: ready/);
      second.type('poweroff');
      const secondEnd = await second.ended;
      assert.equal(secondEnd.status, 0, secondEnd.stderr);
      assert.doesNotMatch(secondEnd.stderr, /swtpm|cleaned up/);
      await testbed.check(['systemctl', 'start', 'dbus.socket', 'dbus.service']);
    });
  });
}
