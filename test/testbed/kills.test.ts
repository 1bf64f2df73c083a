import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { machineCommand, nothingLeft, remnants, startMachine } from './remnants.ts';
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

    /** A directory in front of PATH with a program that says `script`, in which `real` is the real one. */
    const inPath = async (program: string, script: string): Promise<Record<string, string>> => {
      const directory = (await testbed.check(['mktemp', '-d', '/opt/XXXXXX'])).stdout.trim();
      await testbed.check(
        ['sh', '-c', `cat > "$1/${program}"; chmod 755 "$1" "$1/${program}"`, 'sh', directory],
        { input: `#!/bin/sh\nreal=/usr/bin/${program}\n${script}\n` },
      );
      return { PATH: `${directory}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin` };
    };

    test('a supervisor that is killed: nothing is left, and the next start works at once', {
      timeout: 180_000,
    }, async (context) => {
      for (let round = 0; round < 4; round++) {
        await using machine = await startMachine(testbed, 'killed', tpm);
        const units = (await remnants(testbed)).filter((line) => /\.(scope|service|socket) /.test(line));
        for (const unit of ['killed.scope', 'killed-guard.service', 'killed-swtpm.socket']) {
          assert.ok(
            units.some((line) => line.startsWith(`machine-${unit} `)),
            `${unit} in ${units}`,
          );
        }
        await machine.kill('SIGKILL');
        await machine.ended;
      }
      const start = Date.now();
      await nothingLeft(testbed);
      context.diagnostic(`${name}: nothing left after ${Date.now() - start} ms`);
    });

    test('QEMU is killed', { timeout: 60_000 }, async () => {
      await using machine = await startMachine(testbed, 'killed', tpm);
      await testbed.check(['pkill', '-KILL', '-x', 'qemu-system-x86']);
      const end = await machine.ended;
      assert.equal(end.status, 1, end.stderr);
      assert.match(end.stderr, /QEMU ended with signal SIGKILL/);
    });

    for (const [when, words] of [
      ['before the guest is up', /^/],
      ['when the guest is up', /vmspawn-small: ready/],
    ] as const) {
      test(`swtpm is killed ${when}`, { timeout: 120_000 }, async () => {
        const environment = await inPath('swtpm', 'echo "a TPM by hand" >&2\nexec "$real" "$@"');
        await using machine = await startMachine(testbed, 'toothless', [...tpm, '--shutdown-timeout=15s'], {
          environment,
        });
        await machine.seen(words);
        const unit = 'machine-toothless-swtpm.service';
        await testbed.check(['systemctl', 'kill', '--kill-who=main', '--signal=KILL', unit]);
        const end = await machine.ended;
        assert.equal(end.status, 1, end.stderr);
        const sentence = new RegExp(
          `TPM emulator swtpm \\(${unit}\\) ended with signal SIGKILL: a TPM by hand(; the machine is shut down)?\\.`,
          'g',
        );
        assert.equal(end.stderr.match(sentence)?.length, 2, end.stderr);
        if (when === 'when the guest is up') assert.match(end.stdout, /power/i);
      });
    }

    test('swtpm that cannot start: fatal only where it is asked for', { timeout: 120_000 }, async () => {
      const environment = await inPath(
        'swtpm',
        'case "$*" in *--print-*|*--version*|*--help*) exec "$real" "$@";; esac\necho "out of order" >&2\nexit 3',
      );
      const end = await testbed.run(machineCommand(testbed, 'toothless', ...tpm), { environment });
      assert.equal(end.status, 1, end.stderr);
      assert.match(
        end.stderr,
        /swtpm \(machine-toothless-swtpm\.service\) ended with exit status 3: out of order[.;]/,
      );
      await nothingLeft(testbed);
      await using machine = await startMachine(testbed, 'toothless', ['--tpm=auto', '--tpm-state=off'], {
        environment,
      });
      assert.match(machine.stderr, /The machine gets no TPM: .*out of order\.$/m);
      await machine.kill('SIGKILL');
    });

    test('a TPM state that swtpm cannot read', { timeout: 60_000 }, async () => {
      const state = '/var/tmp/tpm-state';
      const words = ['--tpm=yes', `--tpm-state=${state}`];
      {
        await using machine = await startMachine(testbed, 'toothless', [...words, '--shutdown-timeout=0']);
        await machine.kill('SIGTERM');
        await machine.ended;
      }
      await testbed.check(['sh', '-c', `echo garbage > "$(find ${state} -name 'tpm2-00.permall')"`]);
      const end = await testbed.run(machineCommand(testbed, 'toothless', ...words));
      assert.equal(end.status, 1, end.stderr);
      assert.match(end.stderr, /TPM emulator swtpm/);
    });

    test('a supervisor that hangs while its scope is stopped: the guard is given up', {
      timeout: 120_000,
    }, async () => {
      const words = [...tpm, '--shutdown-timeout=1s'];
      await using machine = await startMachine(testbed, 'hanging', words, { unit: true });
      await machine.kill('SIGSTOP');
      // A drop-in, as the 30 s that the guard gets on top are long here.
      await testbed.check([
        'sh',
        '-c',
        `directory=/run/systemd/system/machine-hanging-guard.service.d
        mkdir $directory
        printf '[Service]\\nTimeoutStopSec=1s\\n' > $directory/timeout.conf
        systemctl daemon-reload`,
      ]);
      await testbed.check(['systemctl', 'stop', 'machine-hanging.scope']);
      assert.equal((await testbed.run(['test', '-e', '/run/vmspawn/hanging'])).status, 1);
      await machine.kill('SIGCONT');
      const end = await machine.ended;
      assert.equal(end.status, 1, end.stderr);
      // What it sees first depends on the moment.
      assert.match(end.stderr, /QEMU was ended by a signal from somebody else|the machine was ended/);
    });
  });
}
