import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { machineCommand, nothingLeft, startMachine } from './remnants.ts';
import { bootTestbed, type Testbed, testbeds } from './testbed.ts';

const tpm = ['--tpm=yes', '--tpm-state=off', '--shutdown-timeout=0'];

for (const name of testbeds) {
  describe(name, () => {
    let testbed: Testbed;
    before(async () => {
      testbed = await bootTestbed(name);
    });
    after(() => testbed[Symbol.asyncDispose]());

    /** How much the manager, its bus and machined hold: loaded units, and the descriptors of each. */
    const held = async (): Promise<Record<string, number>> => {
      const script = `
        systemctl list-units --all --plain --no-legend | wc -l
        for process in systemd systemd-machine dbus-daemon; do
          ls "/proc/$(pgrep -o -x "$process")/fd" | wc -l
        done`;
      const { stdout } = await testbed.check(['sh', '-c', script]);
      const [units, systemd, machined, bus] = stdout.trim().split('\n').map(Number);
      return { units: units ?? 0, systemd: systemd ?? 0, machined: machined ?? 0, bus: bus ?? 0 };
    };

    const stop = async (machine: string): Promise<void> => {
      await using running = await startMachine(testbed, machine, tpm);
      await running.kill('SIGTERM');
      await running.ended;
    };

    test('a signal at any moment of the start leaves nothing behind', { timeout: 180_000 }, async () => {
      for (let round = 0; round < 5; round++) {
        const starts = [0, 1, 2, 3].map(async (index) => {
          const machine = `early-${index}`;
          await using start = testbed.spawn(machineCommand(testbed, machine, ...tpm));
          await start.pid();
          const delay = Math.random() * 900;
          await new Promise((resolve) => setTimeout(resolve, delay));
          const signal = index % 2 === 0 ? 'SIGTERM' : 'SIGINT';
          await start.kill(signal);
          const { status, stderr } = await start.ended;
          // Before the handlers are in place the signal ends the program by itself; nothing exists then.
          const own = signal === 'SIGTERM' ? 143 : 130;
          assert.ok([1, own].includes(status), `${signal} after ${delay} ms: ${status} ${stderr}`);
          assert.doesNotMatch(stderr, /^ +at /m);
        });
        await Promise.all(starts);
        await nothingLeft(testbed);
      }
    });

    test('twenty starts and stops in a row, then five at once', { timeout: 300_000 }, async (context) => {
      await stop('again');
      await nothingLeft(testbed);
      const first = await held();
      for (let round = 0; round < 20; round++) await stop('again');
      await Promise.all([1, 2, 3, 4, 5].map((index) => stop(`side-${index}`)));
      await nothingLeft(testbed);
      const last = await held();
      context.diagnostic(`${name}: ${JSON.stringify(first)}, then ${JSON.stringify(last)}`);
      for (const [what, count] of Object.entries(first)) {
        // A few come and go by themselves; what every machine left would be twenty-five.
        assert.ok((last[what] ?? Infinity) <= count + 5, `${what}: ${count}, then ${last[what]}`);
      }
      await testbed.check(['systemctl', 'is-system-running']);
    });
  });
}
