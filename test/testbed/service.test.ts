import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lifecycle } from '../../src/cli/lifecycle.ts';
import { bootTestbed, type Testbed, testbeds } from './testbed.ts';

/** Of one test; waits in it have no other. */
const limit = { timeout: 90_000 };

type Entry = { readonly [field: string]: unknown };

/** One manager of a testbed, and what is to be seen of the service vmspawn@NAME there. */
class Services {
  readonly testbed: Testbed;
  readonly as: 'root' | 'tester';
  readonly manager: '--system' | '--user';

  constructor(testbed: Testbed, as: 'root' | 'tester') {
    this.testbed = testbed;
    this.as = as;
    this.manager = as === 'root' ? '--system' : '--user';
  }

  /** Directory of units that lasts until the testbed ends. */
  get units(): string {
    return this.as === 'root' ? '/run/systemd/system' : '/run/user/1000/systemd/user';
  }

  get runtime(): string {
    return this.as === 'root' ? '/run/vmspawn' : '/run/user/1000/vmspawn';
  }

  async systemctl(...words: string[]): Promise<string> {
    const command = ['systemctl', this.manager, ...words];
    return (await this.testbed.check(command, { as: this.as, timeout: 120_000 })).stdout.trim();
  }

  /** The installed unit's own command with the small guest added, and more lines for one machine. */
  async configure(
    machine: string,
    lines: readonly string[] = [],
    words: readonly string[] = [],
  ): Promise<void> {
    const unit = await this.systemctl('cat', `vmspawn@${machine}.service`);
    const [, command] = /^ExecStart=(\/.*)$/m.exec(unit) ?? [];
    assert.ok(command !== undefined, unit);
    const { kernel, initrd } = this.testbed.guest.small;
    const guest = `--linux=${kernel} --initrd=${initrd} --firmware=none --ram=256M --tpm=no --kvm=no`;
    const text = [
      '[Service]',
      'ExecStart=',
      `ExecStart=${command} ${guest} ${words.join(' ')}`,
      `ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS >>${this.#resultFile(machine)}'`,
      ...lines,
      '',
    ];
    const file = `${this.units}/vmspawn@${machine}.service.d/test.conf`;
    await this.testbed.check(['sh', '-c', 'mkdir -p "$(dirname "$0")" && cat >"$0"', file], {
      as: this.as,
      input: text.join('\n'),
    });
    await this.systemctl('daemon-reload');
  }

  /** Starts a service that cannot start. */
  async startFails(machine: string): Promise<void> {
    const command = ['systemctl', this.manager, 'start', `vmspawn@${machine}`];
    assert.notEqual((await this.testbed.run(command, { as: this.as })).status, 0);
  }

  async properties<Name extends string>(machine: string, ...names: Name[]): Promise<Record<Name, string>> {
    const unit = `vmspawn@${machine}.service`;
    const text = await this.systemctl('show', unit, ...names.map((name) => `--property=${name}`));
    return Object.fromEntries(text.split('\n').map((line) => line.split(/=(.*)/s))) as Record<Name, string>;
  }

  /** Waits until a property is so; the test's time limit bounds it. */
  async until(machine: string, name: string, value: RegExp): Promise<string> {
    for (;;) {
      const found = (await this.properties(machine, name))[name] ?? '';
      if (value.test(found)) return found;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async journal(machine: string): Promise<Entry[]> {
    const matches =
      this.as === 'root'
        ? [`_SYSTEMD_UNIT=vmspawn@${machine}.service`, '+', `UNIT=vmspawn@${machine}.service`]
        : [`_SYSTEMD_USER_UNIT=vmspawn@${machine}.service`, '+', `USER_UNIT=vmspawn@${machine}.service`];
    const { stdout } = await this.testbed.check(['journalctl', '--all', '--output=json', ...matches]);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Entry);
  }

  /** Waits until the guest has written a line. */
  async guestSaid(machine: string, line: string): Promise<void> {
    for (;;) {
      const entries = await this.journal(machine);
      if (
        entries.some(
          ({ MESSAGE, _TRANSPORT }) => _TRANSPORT === 'stdout' && messageText(MESSAGE).includes(line),
        )
      )
        return;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  async pids(machine: string): Promise<{ supervisor: string; qemu: string }> {
    const { MainPID: supervisor } = await this.properties(machine, 'MainPID');
    const { stdout } = await this.testbed.check(['pgrep', '-P', supervisor, 'qemu']);
    return { supervisor, qemu: stdout.trim() };
  }

  /**
   * How each run of a service has ended, in systemd's words: result, how the main process ended, and its status. An inactive
   * unit may be unloaded at once, with all that it knows.
   */
  async results(machine: string): Promise<string[]> {
    await this.until(machine, 'ActiveState', /^(inactive|failed)$/);
    const { stdout } = await this.testbed.check(['cat', this.#resultFile(machine)]);
    return stdout.split('\n').filter(Boolean);
  }

  #resultFile(machine: string): string {
    return `${this.runtime}-results-${machine}`;
  }

  /** What a machine that has ended must not leave. */
  async leftovers(machine: string): Promise<string[]> {
    const { stdout: found } = await this.testbed.run([
      'pgrep',
      '-af',
      `guest=${machine},|--machine=${machine}( |$)`,
    ]);
    const directory = await this.testbed.run(['ls', '-d', `${this.runtime}/${machine}`]);
    return `${found}${directory.stdout}`.split('\n').filter(Boolean);
  }
}

/** journalctl gives what is not plain text, such as a line that ends with CR, as an array of bytes. */
function messageText(message: unknown): string {
  return Array.isArray(message) ? Buffer.from(message as number[]).toString('latin1') : String(message);
}

function events(entries: readonly Entry[], event: keyof typeof lifecycle): readonly Entry[] {
  return entries.filter(({ MESSAGE_ID }) => MESSAGE_ID === lifecycle[event].id);
}

for (const name of testbeds) {
  describe(name, { timeout: 600_000 }, () => {
    let testbed: Testbed;
    before(async () => {
      testbed = await bootTestbed(name);
      await testbed.check([`${testbed.checkout}/scripts/install-units`, '--runtime']);
      await testbed.check(['systemctl', '--user', 'daemon-reload'], { as: 'tester' });
    });
    after(() => testbed[Symbol.asyncDispose]());

    test('the units are as this systemd wants them', limit, async () => {
      for (const [as, manager] of [
        ['root', '--system'],
        ['tester', '--user'],
      ] as const) {
        const command = ['systemd-analyze', 'verify', manager, '--man=no', 'vmspawn@x.service'];
        const { status, stdout, stderr } = await testbed.run(command, { as });
        assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
      }
    });

    test('the path of the program may have in it whatever systemd takes', async () => {
      const program = '/run/a b%e|f&g$h/vmspawn';
      const script =
        'mkdir -p "$(dirname "$1")" && printf "#!/bin/sh\\n" >"$1" && chmod +x "$1" && export VMSPAWN="$1" UNITDIR=/run/odd USERUNITDIR=/run/odd-user && "$2" --runtime';
      await testbed.check(['sh', '-c', script, 'sh', program, `${testbed.checkout}/scripts/install-units`]);
      await testbed.check(['cp', '/run/odd/vmspawn@.service', '/run/odd/odd@x.service']);
      const { stdout, stderr } = await testbed.check([
        'systemd-analyze',
        'verify',
        '--man=no',
        '/run/odd/odd@x.service',
      ]);
      assert.equal(stdout + stderr, '');
    });

    for (const as of ['root', 'tester'] as const) {
      describe(as === 'root' ? 'system manager' : 'user manager', () => {
        let services: Services;
        before(() => {
          services = new Services(testbed, as);
        });

        test(
          'is active when QEMU runs, and can be attached to; stop presses the power button and is clean',
          limit,
          async () => {
            await services.configure('web');
            await services.systemctl('start', 'vmspawn@web');
            assert.deepEqual(await services.properties('web', 'ActiveState', 'SubState', 'StatusText'), {
              ActiveState: 'active',
              SubState: 'running',
              StatusText: 'The machine web runs.',
            });
            const { supervisor, qemu } = await services.pids('web');
            const status = await services.systemctl('status', '--no-pager', 'vmspawn@web');
            assert.match(status, /Virtual Machine web/);
            assert.match(status, /Status: "The machine web runs\."/);
            await services.guestSaid('web', 'vmspawn-small: ready');
            const control = `${testbed.checkout}/bin/vmspawnctl`;
            await using attached = testbed.spawn([control, 'attach'], { as });
            attached.stdin.write('echo typed-into-a-service\n');
            await attached.seen(/\ntyped-into-a-service\r\n/);
            const log = await testbed.check([control, 'console-log', 'web'], { as });
            assert.match(log.stdout, /\ntyped-into-a-service\r\n$/);
            const whose = as === 'root' ? '--user' : '--system';
            assert.equal((await testbed.run([control, 'attach', whose, 'web'], { as })).status, 1);

            await services.systemctl('stop', 'vmspawn@web');
            assert.equal((await attached.ended).status, 0);
            assert.deepEqual(await services.results('web'), ['success exited 0']);
            assert.deepEqual(await services.leftovers('web'), []);

            const entries = await services.journal('web');
            const [started, ...twice] = events(entries, 'started');
            assert.ok(started !== undefined && twice.length === 0);
            assert.equal(started['MACHINE'], 'web');
            assert.equal(started['PRIORITY'], '6');
            assert.equal(started['SYSLOG_IDENTIFIER'], 'vmspawn');
            assert.equal(started['VMSPAWN_LEADER_PID'], qemu);
            assert.equal(started['_PID'], supervisor);
            assert.equal(started['_TRANSPORT'], 'journal');
            assert.match(
              String(events(entries, 'shutdown')[0]?.['MESSAGE']),
              /^SIGTERM received: powering the guest off/,
            );
            assert.ok(entries.some(({ MESSAGE }) => MESSAGE === 'Machine web has ended.'));
            assert.equal(events(entries, 'stopped')[0]?.['EXIT_STATUS'], '0');
            assert.deepEqual(events(entries, 'failed'), []);
          },
        );

        test(
          'a supervisor that is killed is started again; when it is not, it leaves nothing behind',
          limit,
          async () => {
            await services.configure('killed');
            await services.systemctl('start', 'vmspawn@killed');
            const first = await services.pids('killed');
            await testbed.check(['kill', '-KILL', first.supervisor]);
            await services.until('killed', 'NRestarts', /^1$/);
            await services.until('killed', 'ActiveState', /^active$/);
            const second = await services.pids('killed');
            assert.notEqual(second.supervisor, first.supervisor);
            assert.notEqual((await testbed.run(['kill', '-0', first.qemu])).status, 0);

            await services.configure('killed', ['Restart=no']);
            await testbed.check(['kill', '-KILL', second.supervisor]);
            await services.until('killed', 'ActiveState', /^failed$/);
            assert.deepEqual(await services.results('killed'), ['signal killed KILL', 'signal killed KILL']);
            assert.deepEqual(await services.leftovers('killed'), []);
          },
        );

        test('a stop during the start is no failure', limit, async () => {
          // The making of a TPM's state is a start that takes as long as we like.
          const tools = `${services.runtime}-early`;
          await testbed.check(
            [
              'sh',
              '-c',
              'mkdir -p $0 && printf "#!/bin/sh\nexec sleep 1000\n" >$0/swtpm_setup && chmod +x $0/*',
              tools,
            ],
            { as },
          );
          await services.configure(
            'early',
            [`Environment=PATH=${tools}:/usr/local/bin:/usr/bin:/bin`],
            ['--tpm=yes', `--tpm-state=${tools}/state`],
          );
          await services.systemctl('start', '--no-block', 'vmspawn@early');
          await services.until('early', 'StatusText', /being started/);
          await services.systemctl('stop', 'vmspawn@early');
          assert.deepEqual(await services.results('early'), ['success exited 143']);
          assert.deepEqual(await services.leftovers('early'), []);
        });

        test('a start that fails says why, in status and journal, and is not repeated', limit, async () => {
          await services.configure('wrong', [], ['--image=/nonexistent.raw']);
          await services.startFails('wrong');
          const { Result, NRestarts, StatusText } = await services.properties(
            'wrong',
            'Result',
            'NRestarts',
            'StatusText',
          );
          assert.deepEqual({ Result, NRestarts }, { Result: 'exit-code', NRestarts: '0' });
          assert.match(StatusText, /^Image \/nonexistent\.raw does not exist\./);
          const [failed] = events(await services.journal('wrong'), 'failed');
          assert.equal(failed?.['PRIORITY'], '3');
          assert.equal(failed?.['MACHINE'], 'wrong');
          assert.equal(failed?.['EXIT_STATUS'], '1');
        });

        test('machines.target pulls it in and takes it down', limit, async () => {
          await services.configure('member', [], ['--shutdown-timeout=0']);
          await services.systemctl('enable', '--runtime', 'vmspawn@member');
          await services.systemctl('restart', 'machines.target');
          assert.equal((await services.properties('member', 'ActiveState'))['ActiveState'], 'active');
          await services.systemctl('stop', 'machines.target');
          await services.until('member', 'ActiveState', /^(inactive|failed)$/);
          assert.deepEqual(await services.leftovers('member'), []);
        });
      });
    }

    describe('details', () => {
      let services: Services;
      before(() => {
        services = new Services(testbed, 'root');
      });

      test('a QEMU that hangs is what the watchdog is for', limit, async () => {
        await services.configure('hung', ['WatchdogSec=3s'], ['--shutdown-timeout=0']);
        await services.systemctl('start', 'vmspawn@hung');
        const { WatchdogTimestampMonotonic: ready } = await services.properties(
          'hung',
          'WatchdogTimestampMonotonic',
        );
        const { qemu, supervisor } = await services.pids('hung');
        // Longer than the time of the watchdog: pings come.
        for (let last = ready; Number(last) - Number(ready) < 4_000_000; ) {
          last = await services.until('hung', 'WatchdogTimestampMonotonic', new RegExp(`^(?!${last}$)`));
        }
        await testbed.check(['kill', '-STOP', qemu]);
        await services.until('hung', 'NRestarts', /^1$/);
        await services.until('hung', 'ActiveState', /^active$/);
        assert.notEqual((await services.pids('hung')).supervisor, supervisor);
        await services.systemctl('stop', 'vmspawn@hung');
        assert.equal((await services.results('hung'))[0], 'watchdog killed KILL');
        assert.deepEqual(await services.leftovers('hung'), []);
      });

      test(
        'a guest that ignores the power button is waited for longer than the unit says',
        limit,
        async () => {
          await services.configure(
            'deaf',
            ['TimeoutStopSec=3s'],
            ['--shutdown-timeout=8s', 'ignore-power-button'],
          );
          await services.systemctl('start', 'vmspawn@deaf');
          await services.guestSaid('deaf', 'vmspawn-small: ready');
          await services.systemctl('stop', 'vmspawn@deaf');
          const { Result, ExecMainStatus, StatusText } = await services.properties(
            'deaf',
            'Result',
            'ExecMainStatus',
            'StatusText',
          );
          assert.deepEqual({ Result, ExecMainStatus }, { Result: 'exit-code', ExecMainStatus: '1' });
          assert.match(StatusText, /did not power itself off/);
          const steps = events(await services.journal('deaf'), 'shutdown').map(({ MESSAGE }) =>
            String(MESSAGE),
          );
          assert.match(steps[0] ?? '', /^SIGTERM received: powering the guest off, for which it has 8 s/);
          assert.match(steps.at(-1) ?? '', /^The guest did not power off within 8 s/);
          assert.deepEqual(await services.leftovers('deaf'), []);
        },
      );

      test(
        'a machine of the same name in a shell is not disturbed by a service that cannot start',
        limit,
        async () => {
          await services.configure('twin');
          const { kernel, initrd } = testbed.guest.small;
          await using shell = testbed.spawn([
            ...[
              testbed.program,
              '--machine=twin',
              '--console=headless',
              `--linux=${kernel}`,
              `--initrd=${initrd}`,
            ],
            ...['--firmware=none', '--ram=256M', '--tpm=no', '--kvm=no', '--shutdown-timeout=0'],
          ]);
          while ((await testbed.run(['pgrep', '-f', 'guest=twin,'])).status !== 0);
          await services.startFails('twin');
          assert.match((await services.properties('twin', 'StatusText'))['StatusText'], /machine twin/i);
          await testbed.check(['ls', '-d', '/run/vmspawn/twin']);
          await testbed.check(['pgrep', '-f', 'guest=twin,']);
          await shell.kill('SIGTERM');
          await shell.ended;
          assert.deepEqual(await services.leftovers('twin'), []);
        },
      );

      test(
        'only devices that are named can be opened, and nothing of the kernel be changed',
        limit,
        async () => {
          await services.configure('bound', [], ['--shutdown-timeout=0']);
          await services.systemctl('start', 'vmspawn@bound');
          const { supervisor, qemu } = await services.pids('bound');
          for (const pid of [supervisor, qemu]) {
            const { stdout } = await testbed.check(['grep', 'CapBnd', `/proc/${pid}/status`]);
            const capabilities = BigInt(`0x${stdout.split(/\s+/)[1]}`);
            const [module, boot, time] = [16n, 22n, 25n].map((bit) => (capabilities >> bit) & 1n);
            assert.deepEqual([module, boot, time], [0n, 0n, 0n]);
            const [ours, managers] = await Promise.all(
              [pid, '1'].map(
                async (each) => (await testbed.check(['readlink', `/proc/${each}/ns/mnt`])).stdout,
              ),
            );
            assert.equal(ours, managers, 'paths are those of the host');
          }
          const { DevicePolicy, DeviceAllow } = await services.properties(
            'bound',
            'DevicePolicy',
            'DeviceAllow',
          );
          assert.equal(DevicePolicy, 'closed');
          assert.match(DeviceAllow, /\/dev\/kvm rw/);
          await services.systemctl('stop', 'vmspawn@bound');
        },
      );
    });
  });
}
