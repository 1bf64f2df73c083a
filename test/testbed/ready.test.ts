import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { temporaryDirectory } from '../guests.ts';
import { smallShell } from '../small-shell.ts';
import {
  eventually,
  inEveryTestbed,
  leftovers,
  processesOf,
  smallMachine,
  systemctl,
  type User,
  unitProperties,
} from './machine.ts';
import { bootTestbed, type Testbed } from './testbed.ts';

/** Once the guest is up, and `command` is over, its systemd is told to end with 7. */
const exits = (command: string) =>
  `[Unit]\\nAfter=multi-user.target vmspawn-ready.service\\nSuccessAction=exit\\nSuccessActionExitStatus=7\\n[Service]\\nExecStart=-sh -c 'systemctl is-system-running --wait; ${command}'\\n`;

/** Our unit says nothing: what is heard comes by vsock. */
const silence = 'SetCredential=systemd.extra-unit.vmspawn-ready.service:[Service]\\nExecStart=/bin/true\\n\n';

/** On a host with much to do its own limits of 90 s would break the guest's boot. */
const patience = 'systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900';

const settings = (command: string) => `[Host]
Ram=1G
Kvm=no
Tpm=yes
[Firmware]
Firmware=uefi
[Execution]
NotifyReady=yes
[Credentials]
SetCredential=systemd.extra-unit.exits.service:${exits(command)}
SetCredential=systemd.unit-dropin.multi-user.target~exits:[Unit]\\nWants=exits.service\\n
`;

const write = ['sh', '-c', 'mkdir -p "$(dirname "$1")" && cat > "$1"', 'sh'];

/** The line that is shown logs in, through systemd-ssh-proxy, and without that. */
async function logInByVsock(bed: Testbed): Promise<void> {
  const logIn = async (words: RegExp, command: string) => {
    // The service itself is quiet.
    const { stderr } = await bed.check([bed.program, '--machine=debian', '--dry-run=json']);
    const [, line] = /Log in with: (ssh .*)/.exec(stderr) ?? [];
    assert.match(line ?? '', words, stderr);
    const end = await bed.run(['sh', '-c', `${line} '${command}; hostname; exit 7'`], { timeout: 120_000 });
    assert.deepEqual([end.status, end.stdout], [7, 'debian\n'], end.stderr);
  };
  await logIn(/ root@vsock-mux\/run\/vmspawn\/debian\/vsock$/, 'true');
  await bed.check(['rm', '/etc/ssh/ssh_config.d/20-systemd-ssh-proxy.conf']);
  await logIn(/ -o 'ProxyCommand=.*node /, 'touch /run/seen');
}

inEveryTestbed((testbed) => {
  test("systemctl start returns when the Debian guest is up; its exit status is the service's", {
    timeout: 900_000,
  }, async () => {
    const bed = testbed();
    const vsock = bed.name === 'debian-testing';
    const service = 'vmspawn@debian.service';
    const format = bed.name === 'debian-13' ? 'qcow2' : 'raw';
    const image = `/var/lib/machines/debian.${format}`;
    await bed.check([`${bed.checkout}/scripts/install-units`, '--runtime']);
    await bed.check(['mkdir', '-p', '/var/lib/machines']);
    await bed.check(['qemu-img', 'convert', '-f', 'raw', '-O', format, bed.guest.debian, image], {
      timeout: 120_000,
    });
    await bed.check([...write, '/etc/vmspawn/debian.vmspawn'], {
      input: vsock ? settings('until [ -e /run/seen ]; do sleep 1; done') + silence : settings('true'),
    });
    const unit = await systemctl(bed, 'root', 'cat', service);
    const [, command] = /^ExecStart=(\/.*)$/m.exec(unit) ?? [];
    assert.ok(command !== undefined, unit);
    // With NotifyReady=yes it is the unit that says how long to wait.
    await bed.check([...write, `/run/systemd/system/${service}.d/patience.conf`], {
      input: `[Service]\nExecStart=\nExecStart=${command} ${patience}\nTimeoutStartSec=infinity\n`,
    });
    await systemctl(bed, 'root', 'daemon-reload');
    const words = (name: string) => unitProperties(bed, service, [name]).then((values) => values[name] ?? '');

    await using start = bed.spawn(['systemctl', 'start', service]);
    await eventually('the boot', async () =>
      /is booting|^Guest: /.test(await words('StatusText')) ? true : undefined,
    );
    // Processors run since a moment, and the guest is far from being up.
    assert.equal(await words('ActiveState'), 'activating');
    const inside = (await processesOf(bed, service)).map(({ program }) => program);
    for (const program of ['swtpm', ...(vsock ? ['vhost-device-vs'] : [])]) {
      assert.ok(inside.includes(program), `${program} in ${inside}`);
    }
    // Not without READY=1, however soon the guest ends after that.
    const { status } = await start.ended;
    const journal = async () =>
      (await bed.run(['journalctl', '--no-pager', '-a', '-o', 'cat', '-u', service])).stdout;
    assert.equal(status, 0, await journal());
    if (vsock) await logInByVsock(bed);
    await eventually(
      'the end',
      async () => ((await words('ActiveState')) === 'failed' ? true : undefined),
      600_000,
    );
    const { ExecMainStatus, Result } = await unitProperties(bed, service, ['ExecMainStatus', 'Result']);
    assert.deepEqual(
      { ExecMainStatus, Result },
      { ExecMainStatus: '7', Result: 'exit-code' },
      await journal(),
    );
    assert.match(await journal(), /Power(ing)? ?(down|off)|Reached target.*Power/i);
    await systemctl(bed, 'root', 'reset-failed', service);
    assert.deepEqual(await leftovers(bed, 'debian'), []);
    // State is for the next boot.
    await bed.check(['test', '-s', `${image}.tpmstate/tpm2-00.permall`]);
  });
});

/** An initrd that adds the program `vsock-say` to the small guest, in the testbed. */
async function sayInitrd(bed: Testbed): Promise<string> {
  using directory = temporaryDirectory();
  const tree = join(directory.path, 'tree');
  mkdirSync(join(tree, 'bin'), { recursive: true });
  const source = asset('test', 'fixtures', 'vsock-say.c');
  execFileSync('cc', ['-static', '-Os', '-s', '-Wall', '-o', join(tree, 'bin', 'vsock-say'), source]);
  execFileSync('sh', ['-c', 'find . | cpio -o -H newc --quiet > ../initrd'], { cwd: tree });
  const path = '/run/say-initrd';
  const text = readFileSync(join(directory.path, 'initrd')).toString('base64');
  await bed.check(['sh', '-c', 'base64 -d > "$1" && chmod 644 "$1"', 'sh', path], { input: text });
  return path;
}

/** kB of memory that a process has for itself, or its part of (proc_pid_smaps(5), smaps_rollup). */
async function memory(bed: Testbed, pid: number): Promise<number> {
  const { stdout } = await bed.check(['cat', `/proc/${pid}/smaps_rollup`]);
  return Number(/^Pss:\s+(\d+) kB$/m.exec(stdout)?.[1]);
}

describe('vsock by a daemon', () => {
  let bed: Testbed;
  before(async () => {
    bed = await bootTestbed('debian-testing');
  });
  after(() => bed[Symbol.asyncDispose]());

  test('a daemon that cannot start is fatal only where it is asked for', { timeout: 120_000 }, async () => {
    const script = '#!/bin/sh\necho "out of order" >&2\nexit 3\n';
    await bed.check([...write, '/opt/broken/vhost-device-vsock'], { input: script });
    await bed.check(['chmod', '755', '/opt/broken/vhost-device-vsock']);
    const environment = { PATH: '/opt/broken:/usr/local/bin:/usr/bin:/bin' };
    const words = [...smallMachine(bed, 'mute'), '--tpm=no', '--shutdown-timeout=0', '--notify-ready=yes'];
    const end = await bed.run([...words, '--vsock=yes'], { environment });
    assert.equal(end.status, 1);
    assert.match(end.stderr, /machine-mute-vsock\.service.* exit status 3: out of order\./);
    assert.deepEqual(await leftovers(bed, 'mute'), []);
    await using run = bed.spawn(words, { environment });
    await eventually('a QEMU', async () => {
      const { status } = await bed.run(['pgrep', '-f', 'guest=mute,']);
      return status === 0 ? true : undefined;
    });
    assert.match(run.stderr, /The machine gets no vsock device: .* exit status 3: out of order\./);
    await run.kill('SIGTERM');
    await run.ended;
    assert.deepEqual(await leftovers(bed, 'mute'), []);
  });

  for (const as of ['root', 'tester'] as const satisfies readonly User[]) {
    test(`the guest's word comes through a daemon in a unit, ${as}`, { timeout: 300_000 }, async () => {
      const machine = 'said';
      const unit = 'machine-said-vsock.service';
      const supervisor = `supervisor-${as}.service`;
      const words = [
        ...smallMachine(bed, machine, `--initrd=${await sayInitrd(bed)}`),
        ...['--tpm=no', '--vsock=yes', '--notify-ready=yes', '--shutdown-timeout=5s'],
        ...['console=ttyS0', 'quiet'],
      ];
      await using run = bed.spawn(words, {
        as,
        unit: true,
        unitName: supervisor,
        properties: ['Type=notify', 'NotifyAccess=main', 'TimeoutStartSec=infinity'],
      });
      const inGuest = await smallShell(run);
      const state = () => unitProperties(bed, supervisor, ['ActiveState', 'StatusText'], as);
      assert.deepEqual(await state(), {
        ActiveState: 'activating',
        StatusText: 'The machine said is booting.',
      });
      const [daemon] = await processesOf(bed, unit, as);
      assert.equal(daemon?.program, 'vhost-device-vs');
      const { stdout: status } = await bed.check(['cat', `/proc/${daemon.pid}/status`]);
      assert.match(status, /^NoNewPrivs:\s1$/m);
      assert.match(status, /^Seccomp:\s2$/m);

      // It returns only when the other side has closed, as the guest's systemd does.
      const says = (text: string) => inGuest(`vsock-say 1024 '${text}'`);
      const told = (name: string, value: string) =>
        eventually(value, async () => ((await state())[name] === value ? true : undefined));
      assert.equal(await says('READY=1'), 'closed\n');
      await told('ActiveState', 'active');
      assert.equal(await says('STATUS=says it'), 'closed\n');
      await told('StatusText', 'Guest: says it');
      assert.equal(await says('EXIT_STATUS=7'), 'closed\n');

      // What is no message changes nothing and is not kept.
      const pid = await run.pid();
      const before = await memory(bed, pid);
      for (const input of [
        "printf 'EXIT_STATUS=256\\nEXIT_STATUS=-1\\n\\377EXIT_STATUS=8\\nexit_status=8\\nEXIT_STATUS=0x8'",
        'head -c 10000000 /dev/zero',
        'yes READY=1 | head -n 100000',
      ]) {
        assert.match(await inGuest(`${input} | vsock-say 1024 -`), /^(closed|cut off)\n$/);
      }
      assert.equal(await inGuest("{ printf 'EXIT_STATUS'; sleep 10000; } | vsock-say 1024 - & true"), '');
      assert.equal(await says('STATUS=still heard'), 'closed\n');
      await told('StatusText', 'Guest: still heard');
      const after = await memory(bed, pid);
      assert.ok(after - before < 24 * 1024, `${before} kB, with a hostile guest ${after} kB`);

      // The serial port is left.
      await bed.check(['kill', '-KILL', String(daemon.pid)]);
      await eventually("word of the daemon's end", async () =>
        /machine-said-vsock\.service\) ended with signal SIGKILL; the machine goes on without\./.test(
          run.stderr,
        )
          ? true
          : undefined,
      );
      assert.equal(await inGuest('echo here'), 'here\n');
      run.type('poweroff -f');
      const end = await run.ended;
      assert.equal(end.status, 7, end.stderr);
      assert.deepEqual(await leftovers(bed, machine, as), []);
    });
  }
});
