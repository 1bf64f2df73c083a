import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFullMachine, ownCredential } from '../full-machine.ts';
import {
  eventually,
  inEveryTestbed,
  leftovers,
  planOf,
  smallMachine,
  type User,
  unitProperties,
} from './machine.ts';
import type { Testbed } from './testbed.ts';

const limit = { timeout: 900_000 };

interface Case {
  readonly what: string;
  readonly as: User;
  /** At most 12 characters, so that its TAP interface is called after it. */
  readonly machine: string;
  readonly words: readonly string[];
  readonly ephemeral: (bed: Testbed) => boolean;
}

/** Each of them both ways somewhere. */
const cases: readonly Case[] = [
  {
    what: 'the system manager',
    as: 'root',
    machine: 'full',
    words: [],
    ephemeral: ({ name }) => name === 'debian-13',
  },
  {
    what: 'the unit that it was started in',
    as: 'root',
    machine: 'kept',
    words: ['--keep-unit'],
    ephemeral: ({ name }) => name !== 'debian-13',
  },
  {
    what: "a user's manager",
    as: 'tester',
    machine: 'mine',
    words: [],
    ephemeral: ({ name }) => name === 'debian-12',
  },
];

inEveryTestbed((testbed) => {
  for (const { what, as, machine, words, ephemeral } of cases) {
    test(`a machine with everything that it can have, under ${what}, seen from inside`, limit, async () => {
      const bed = testbed();
      const unitName = `${machine}.service`;
      const directory = `${as === 'root' ? '/srv' : '/home/tester'}/${machine}`;
      await bed.check(['mkdir', directory], { as });
      if (as === 'tester') await prepareForTester(bed, `vt-${machine}`);
      // As systemd has it outside of containers: credentials are mounted in a namespace first.
      await bed.check(['mount', '--make-rshared', '/']);
      const place = {
        as,
        unit: true,
        unitName,
        properties: [`LoadCredential=${ownCredential}:${directory}/own/${ownCredential}`],
      };
      await checkFullMachine({
        directory,
        ephemeral: ephemeral(bed),
        elsewhere: bed.guest.small.biosDisk,
        node: '/usr/local/bin/node',
        port: 2222,
        check: (command) => bed.check(command, { as }),
        spawn: (command) => bed.spawn(command, { as }),
        plan: (options) => planOf(bed, machine, [...words, ...options], place),
        start: (options) => {
          const run = bed.spawn(smallMachine(bed, machine, ...words, ...options), {
            ...place,
            properties: [...place.properties, 'Type=notify', 'KillMode=mixed', 'TimeoutStartSec=infinity'],
          });
          return Object.assign(run, {
            report: (topic: string) =>
              eventually(`a report about ${topic}: ${run.stderr}`, async () => {
                const { StatusText: text = '' } = await unitProperties(bed, unitName, ['StatusText'], as);
                return text.startsWith(`Guest: ${topic} `) ? text : undefined;
              }),
            ready: () =>
              eventually('a service that is active', async () => {
                const { ActiveState: state } = await unitProperties(bed, unitName, ['ActiveState'], as);
                return state === 'active' ? state : undefined;
              }).then(() => {}),
            end: async () => {
              const { status, stderr } = await run.ended;
              return [status, stderr] as const;
            },
          });
        },
      });
      assert.deepEqual(await leftovers(bed, machine, as), []);
    });
  }

  test('what a user may not have is refused in one sentence, before anything is made', limit, async () => {
    const bed = testbed();
    const home = '/home/tester/denied';
    await bed.check(['sh', '-euc', furnish, 'sh', home]);
    await tun(bed);
    const script = `find "$1" -printf '%p %s %m %U\\n'; ls /run/user/1000/vmspawn 2> /dev/null || true`;
    const traces = async () => (await bed.check(['sh', '-c', script, 'sh', home])).stdout;
    const before = await traces();
    const refused = async (options: readonly string[], message: RegExp) => {
      const words = [...smallMachine(bed, 'denied', `--image=${home}/image.raw`, '--quiet'), ...options];
      const end = await bed.run(words, { as: 'tester' });
      assert.equal(end.status, 1, `${options}: ${end.stderr}`);
      assert.equal(end.stdout, '');
      assert.match(end.stderr, /^vmspawn: [^\n]*\n$/);
      assert.match(end.stderr.replaceAll(home, '@'), message);
      assert.equal(await traces(), before, `${options}`);
    };
    for (const [options, message] of refusals) {
      await refused(
        options.map((word) => word.replace('@', home)),
        message,
      );
    }
    // Not even a unit.
    const units = ['journalctl', '--quiet', '--output=cat', '--no-pager', '--grep=machine-denied'];
    assert.equal((await bed.run(units)).stdout, '');
    assert.deepEqual(await leftovers(bed, 'denied', 'tester'), []);
  });
});

/** The device for TAP interfaces, which udev lets everybody open; it is not there in the testbeds. */
async function tun(bed: Testbed): Promise<void> {
  const script =
    'umount /dev/net/tun 2> /dev/null; rm -f /dev/net/tun; mkdir -p /dev/net; mknod -m 666 /dev/net/tun c 10 200';
  await bed.check(['sh', '-c', script]);
}

/** What `ip tuntap add NAME mode tap user tester` does: TUNSETIFF, TUNSETOWNER, TUNSETPERSIST (tuntap.rst of Linux). */
const makeTap = `open(my $fd, "+<", "/dev/net/tun") or die $!;
my $request = pack("a16 s x22", $ARGV[0], 0x1002);
ioctl($fd, 0x400454ca, $request) && ioctl($fd, 0x400454cc, 1000) && ioctl($fd, 0x400454cb, 1) or die $!`;

/** What root does for tester once, and the hosts of others have: the TAP interface `tap`, and a whole /proc in sight. */
async function prepareForTester(bed: Testbed, tap: string): Promise<void> {
  await tun(bed);
  await bed.check(['perl', '-e', makeTap, tap]);
  await bed.check(['sh', '-c', 'mkdir /opt/proc && mount -t proc proc /opt/proc']);
}

/** Files of root and of tester. */
const furnish = `mkdir "$1" "$1/closed"; cd "$1"; truncate -s 1M image.raw read-only.raw
mknod -m 600 disk b 7 0; echo x | tee secret > closed/file; chmod 600 secret; chmod 700 closed; chown tester image.raw .`;

/** With `@` for the directory. */
const refusals: readonly (readonly [options: readonly string[], message: RegExp])[] = [
  [['--extra-drive=@/disk'], /: --extra-drive=@\/disk may not be read by this user\. Change its permissions/],
  [['--extra-drive=@/read-only.raw'], /: Drive @\/read-only\.raw is not writable\. Change .* scsi-cd: /],
  [['--image=@/read-only.raw', '-G2M'], /: Image @\/read-only\.raw is not writable\. .* --ephemeral\./],
  [['--bind=@/closed'], /: --bind=@\/closed may not be entered by this user\. Change its permissions/],
  [['--bind-ro=@/closed/x'], /: --bind-ro=@\/closed\/x may not be entered by this user\. /],
  [['--initrd=@/secret'], /: --initrd=@\/secret may not be read by this user\. /],
  [['--load-credential=a:@/secret'], /: --load-credential=a:@\/secret cannot be read: EACCES/],
  [['--load-credential=a:absent'], /: --load-credential=a:absent names no credential of this host\. Looked /],
  [
    ['--network-user-mode', '--port=80:80'],
    /: --port=127\.0\.0\.1:80:80 cannot be had: this user may not listen on port 80\. Choose a port/,
  ],
  [['--network-tap'], / vt-denied cannot be made without the capability CAP_NET_ADMIN\. .*ip tuntap add/],
];
