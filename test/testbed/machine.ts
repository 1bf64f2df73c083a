import { after, before, describe } from 'node:test';
import type { Plan } from '../../src/plan/plan.ts';
import { bootTestbed, type CommandOptions, type Testbed, type TestbedProcess, testbeds } from './testbed.ts';

/** Milliseconds for what comes true by itself, on a machine with much to do. */
const patience = 60_000;

/**
 * Declares tests in each of the testbeds, two of which run at a time; `testbed` gives the one that is up while they run.
 */
export function inEveryTestbed(declare: (testbed: () => Testbed) => void): void {
  describe('testbeds', { concurrency: 2 }, () => {
    for (const name of testbeds) {
      describe(name, { concurrency: 1 }, () => {
        let testbed: Testbed;
        before(async () => {
          testbed = await bootTestbed(name);
        });
        after(() => testbed[Symbol.asyncDispose]());
        declare(() => testbed);
      });
    }
  });
}

/** Words for a machine that boots the small guest's kernel directly, with a TPM; `words` come last. */
export function smallMachine(testbed: Testbed, machine: string, ...words: string[]): string[] {
  const { kernel, initrd } = testbed.guest.small;
  return [
    testbed.program,
    `--machine=${machine}`,
    `--linux=${kernel}`,
    `--initrd=${initrd}`,
    ...['--firmware=none', '--ram=256M', '--kvm=no', '--tpm=yes'],
    ...words,
  ];
}

/** The words of a small machine, and everything else up to a guest that reads commands. */
export async function startSmall(
  testbed: Testbed,
  machine: string,
  words: readonly string[] = [],
  options: CommandOptions = {},
): Promise<TestbedProcess> {
  const running = testbed.spawn(smallMachine(testbed, machine, ...words), options);
  try {
    await running.seen(/vmspawn-small: ready/);
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

/** The plan for the words that a small machine would have. */
export async function planOf(
  testbed: Testbed,
  machine: string,
  words: readonly string[] = [],
  options: CommandOptions = {},
): Promise<Plan> {
  const { stdout } = await testbed.check(smallMachine(testbed, machine, '--dry-run=json', ...words), options);
  return JSON.parse(stdout);
}

/** Who is asked about units and machines: root the system's managers, tester its own. */
export type User = 'root' | 'tester';

const managerOf = (as: User): '--system' | '--user' => (as === 'tester' ? '--user' : '--system');

/** Runtime directory of a machine. */
export function runtimeDirectory(machine: string, as: User = 'root'): string {
  return `${as === 'tester' ? '/run/user/1000' : '/run'}/vmspawn/${machine}`;
}

/** `systemctl` with words; throws when it fails. */
export async function systemctl(testbed: Testbed, as: User, ...words: string[]): Promise<string> {
  return (await testbed.check(['systemctl', managerOf(as), ...words], { as })).stdout.trim();
}

/** `machinectl` with words; throws when it fails. A user's machined is there from systemd 259 on. */
export async function machinectl(testbed: Testbed, as: User, ...words: string[]): Promise<string> {
  return (
    await testbed.check(['machinectl', ...(as === 'tester' ? ['--user'] : []), ...words], { as })
  ).stdout.trim();
}

/** Properties of a unit in the words of `systemctl show`; those that its version does not know are missing. */
export async function unitProperties(
  testbed: Testbed,
  unit: string,
  names: readonly string[],
  as: User = 'root',
): Promise<Record<string, string>> {
  return assignments(await systemctl(testbed, as, 'show', `--property=${names.join(',')}`, unit));
}

/** What `machinectl show` says. */
export async function machineProperties(
  testbed: Testbed,
  machine: string,
  as: User = 'root',
): Promise<Record<string, string>> {
  return assignments(await machinectl(testbed, as, 'show', machine));
}

function assignments(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split('\n').map((line) => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
}

/** The processes of a unit, `PID COMM` each, by name of the program. */
export async function processesOf(
  testbed: Testbed,
  unit: string,
  as: User = 'root',
): Promise<{ pid: number; program: string }[]> {
  const { ControlGroup: group = '' } = await unitProperties(testbed, unit, ['ControlGroup'], as);
  const script = 'for pid in $(cat "$1"); do echo "$pid $(cat /proc/$pid/comm)"; done';
  const file = `/sys/fs/cgroup${group}/cgroup.procs`;
  const { stdout } = await testbed.check(['sh', '-c', script, 'sh', file]);
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ pid: Number(line.split(' ')[0]), program: line.slice(line.indexOf(' ') + 1) }))
    .sort((a, b) => a.program.localeCompare(b.program));
}

/** What a machine must not leave behind in a testbed that runs no other: units, machines, files, processes. */
export async function leftovers(testbed: Testbed, machine: string, as: User = 'root'): Promise<string[]> {
  const manager = managerOf(as);
  const userMachined = as === 'root' || testbed.systemd >= 259;
  const script = `
    systemctl ${manager} list-units --all --plain --no-legend "machine-$1*"
    systemctl ${manager} --failed --plain --no-legend
    ${userMachined ? `machinectl ${as === 'tester' ? '--user' : ''} list --no-legend` : ''}
    ls -d "$2" 2> /dev/null
    for program in qemu-system-x86 swtpm vhost-device-vs vmspawn-leader vmspawn-child; do pgrep -l -x $program; done
    ls /run/systemd/transient ${as === 'tester' ? '/run/user/1000/systemd/transient' : ''} 2> /dev/null | grep "machine-$1"
    true`;
  const { stdout, stderr } = await testbed.check(
    ['sh', '-c', script, 'sh', machine, runtimeDirectory(machine, as)],
    { as },
  );
  return `${stdout}${stderr}`.split('\n').filter((line) => line.trim() !== '');
}

/** Waits until `look` gives a value other than undefined. Throws with what was waited for after `limit` milliseconds. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  limit = patience,
): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Sees which process asks the manager for which transient unit, on its bus. */
export class UnitRequests implements AsyncDisposable {
  readonly #testbed: Testbed;
  readonly #as: User;
  readonly #monitor: TestbedProcess;

  private constructor(testbed: Testbed, as: User, monitor: TestbedProcess) {
    this.#testbed = testbed;
    this.#as = as;
    this.#monitor = monitor;
  }

  /** Resolves when nothing is missed any more. */
  static async watch(testbed: Testbed, as: User = 'root'): Promise<UnitRequests> {
    const bus = as === 'tester' ? '--session' : '--system';
    const rule =
      "type='method_call',interface='org.freedesktop.systemd1.Manager',member='StartTransientUnit'";
    const monitor = testbed.spawn(['dbus-monitor', bus, rule], { as });
    // The bus takes a monitor's name away when it is one.
    await monitor.seen(/member=NameLost/);
    return new UnitRequests(testbed, as, monitor);
  }

  /** PID and program of whoever asked for `unit`; waits for that. They must be on the bus still. */
  async requester(unit: string): Promise<{ pid: number; program: string }> {
    const [, sender = ''] = await eventually(`a request for ${unit}`, async () => {
      for (const [, ...call] of this.#monitor.stdout.matchAll(
        /^method call .* sender=(\S+) .*member=StartTransientUnit\n +string "(.*)"$/gm,
      )) {
        if (call[1]?.replaceAll('\\\\', '\\') === unit) return ['', ...call];
      }
      return undefined;
    });
    const { stdout } = await this.#testbed.check(
      [
        ...['busctl', this.#as === 'tester' ? '--user' : '--system', 'call', 'org.freedesktop.DBus'],
        ...['/org/freedesktop/DBus', 'org.freedesktop.DBus', 'GetConnectionUnixProcessID', 's', sender],
      ],
      { as: this.#as },
    );
    const pid = Number(stdout.replace('u ', ''));
    return { pid, program: (await this.#testbed.check(['cat', `/proc/${pid}/comm`])).stdout.trim() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#monitor[Symbol.asyncDispose]();
  }
}
