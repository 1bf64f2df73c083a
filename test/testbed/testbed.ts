import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { asset } from '../../src/assets.ts';
import { debianImage, type SmallGuest, smallGuest } from '../guests.ts';
import { type Finished, TestbedProcess } from './process.ts';

export { type Finished, TestbedProcess } from './process.ts';

/** The systemds that everything is tried on: 252, 257 and 262. */
export const testbeds = ['debian-12', 'debian-13', 'debian-testing'] as const;
export type TestbedName = (typeof testbeds)[number];

export interface CommandOptions {
  /** Who runs it; `tester` has a user manager and a session bus in the environment. Default: root. */
  readonly as?: 'tester' | 'root';
  /** In a transient service of its own, of the system or the tester's manager; otherwise outside any unit. */
  readonly unit?: boolean;
  /** Of that service; needed only by who looks at it. */
  readonly unitName?: string;
  /** Of that service as well, as `NAME=VALUE`. */
  readonly properties?: readonly string[];
  /** Added to what a login has. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface RunOptions extends CommandOptions {
  /** Milliseconds, 60 seconds if not said; then the command is killed and the call fails. */
  readonly timeout?: number;
  /** For its standard input, which is closed after that. */
  readonly input?: string;
}

/** PATH in a testbed. */
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin';

let units = 0;

/**
 * Starts one of {@link testbeds}: its systemd as PID 1 in namespaces of its own, up and `running`, with tester's
 * user manager, when the promise resolves. Takes about a second, and a minute more when the tree is not built yet. What a
 * start writes is gone after it. Disposal takes everything with it, and so does the end of this process. Throws with
 * what systemd said when it does not come up; needs root.
 */
export async function bootTestbed(name: TestbedName): Promise<Testbed> {
  const guests = smallGuest();
  const guestDirectory = dirname(dirname(guests.kernel));
  const tree = process.env[`VMSPAWN_TESTBED_${name.replace('-', '_').toUpperCase()}`] ?? build(name);
  const keeper = spawn(
    asset('test', 'testbed', 'boot'),
    [name, tree, `${asset()}:vmspawn`, `${process.execPath}:usr/local/bin/node`, `${guestDirectory}:guests`],
    // A session of its own: an interrupt from the terminal comes to it as the end of its input.
    { detached: true },
  );
  let said = '';
  keeper.stderr.setEncoding('utf8').on('data', (data: string) => {
    said += data;
  });
  keeper.stdin.on('error', () => {});
  const ended = new Promise<void>((resolve, reject) => {
    keeper.on('error', reject);
    keeper.on('close', () => resolve());
  });
  const line = await new Promise<string>((resolve, reject) => {
    createInterface(keeper.stdout).once('line', resolve);
    ended.then(() => reject(new Error(`The testbed ${name} did not start: ${said}`)), reject);
  });
  const [pid = '', group = ''] = line.split(' ');
  const testbed = new Testbed(name, Number(pid), group, keeper, ended);
  try {
    await testbed.ready();
  } catch (error) {
    await testbed[Symbol.asyncDispose]();
    throw new Error(`The testbed ${name} did not come up: ${said}`, { cause: error });
  }
  return testbed;
}

/** A running systemd and what can be done in it; see {@link bootTestbed}. */
export class Testbed implements AsyncDisposable {
  readonly name: TestbedName;
  /** Version of systemd. Set when it is up. */
  systemd = 0;
  /** systemd's PID on the host. */
  readonly pid: number;
  /** The cgroup that systemd has for its root, as a directory of the host. */
  readonly cgroup: string;
  /** Path of this checkout inside, read-only. */
  readonly checkout = '/vmspawn';
  /** Path of the program inside. */
  readonly program = '/vmspawn/bin/vmspawn';
  /** The guests' paths inside, read-only. */
  readonly guest: { readonly small: SmallGuest; readonly debian: string };
  readonly #keeper: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;

  /** Only for {@link bootTestbed}. */
  constructor(
    name: TestbedName,
    pid: number,
    cgroup: string,
    keeper: ChildProcessWithoutNullStreams,
    ended: Promise<void>,
  ) {
    this.name = name;
    this.pid = pid;
    this.cgroup = cgroup;
    this.#keeper = keeper;
    this.#ended = ended;
    const { kernel, initrd, biosDisk, uefiDisk, unifiedKernel } = smallGuest();
    const inside = (file: string): string => join('/guests', basename(dirname(file)), basename(file));
    this.guest = {
      small: {
        kernel: inside(kernel),
        initrd: inside(initrd),
        biosDisk: inside(biosDisk),
        uefiDisk: inside(uefiDisk),
        unifiedKernel: inside(unifiedKernel),
      },
      get debian() {
        return join('/guests', basename(debianImage()));
      },
    };
  }

  /** Waits until both managers are up; throws when something has failed in one of them. */
  async ready(): Promise<void> {
    // Before it listens there is nobody to ask, and the answer is "offline" or nothing.
    const wait = (manager: string): string => `
      until state=$(systemctl ${manager} is-system-running --wait 2> /dev/null) || [ "$state" = degraded ]; do
        sleep 0.02
      done
      [ "$state" = running ] || { systemctl ${manager} --failed --no-pager; exit 1; }`;
    for (const [manager, as] of [
      ['--system', 'root'],
      ['--user', 'tester'],
    ] as const) {
      const { status, stdout } = await this.run(['sh', '-c', wait(manager)], { as });
      if (status !== 0) throw new Error(`systemctl ${manager}: ${stdout}`);
    }
    this.systemd = Number(/\d+/.exec((await this.check(['systemctl', '--version'])).stdout)?.[0]);
  }

  /** Starts a command; its process is killed with the testbed, at the latest. */
  spawn(command: readonly string[], options: CommandOptions = {}): TestbedProcess {
    const { as = 'root', environment = {} } = options;
    const login: Record<string, string> = {
      PATH: path,
      LANG: 'C.UTF-8',
      TERM: 'dumb',
      USER: as,
      LOGNAME: as,
      SHELL: '/bin/bash',
      HOME: as === 'root' ? '/root' : '/home/tester',
      ...(as === 'tester' && {
        XDG_RUNTIME_DIR: '/run/user/1000',
        DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/1000/bus',
      }),
    };
    const manager = as === 'tester' ? '--user' : '--system';
    let unit: string | undefined;
    let words = command;
    let direct = { ...login, ...environment };
    if (options.unit === true) {
      units += 1;
      unit = options.unitName ?? `testbed-${process.pid}-${units}.service`;
      direct = login;
      words = [
        ...['systemd-run', manager, '--quiet', '--pipe', '--wait', '--collect', `--unit=${unit}`],
        ...Object.entries({ PATH: path, ...environment }).map(([key, value]) => `--setenv=${key}=${value}`),
        ...(options.properties ?? []).map((assignment) => `--property=${assignment}`),
        '--',
        ...command,
      ];
    }
    // Into a cgroup of the testbed first, from outside: who has entered sees only what is below its root.
    const enter = 'echo 0 > "$1/visitors/cgroup.procs" || exit; shift; exec "$@"';
    const child = spawn(
      '/bin/sh',
      [
        ...['-c', enter, 'enter', this.cgroup],
        ...['nsenter', `--target=${this.pid}`, '--mount', '--pid', '--uts', '--ipc', '--net', '--cgroup'],
        ...['--root', '--wd', '--', '/usr/bin/env', '-i', '-C', as === 'root' ? '/root' : '/home/tester'],
        ...Object.entries(direct).map(([key, value]) => `${key}=${value}`),
        ...(as === 'root' ? [] : ['setpriv', '--reuid=1000', '--regid=1000', '--init-groups']),
        ...['/bin/sh', '-c', 'echo $$ >&3; exec 3>&- "$@"', 'run', ...words],
      ],
      { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] },
    );
    return new TestbedProcess(child, unit, manager, (words) => this.run(words, { as }));
  }

  /** Runs a command to its end. Any exit status is an answer; throws when it takes too long. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    await using running = this.spawn(command, options);
    const limit = options.timeout ?? 60_000;
    running.stdin.end(options.input ?? '');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(
          new Error(
            `${this.name}: not over after ${limit} ms: ${command.join(' ')}\n${running.stdout}\n${running.stderr}`,
          ),
        );
      }, limit);
    });
    try {
      return await Promise.race([running.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** As {@link run}, but throws when the exit status is not 0. */
  async check(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const end = await this.run(command, options);
    if (end.status !== 0) {
      throw new Error(
        `${this.name}: exit status ${end.status}: ${command.join(' ')}\n${end.stdout}\n${end.stderr}`,
      );
    }
    return end;
  }

  /** Ends every process of the testbed; its mounts and its cgroup are gone after that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper.stdin.end();
    await this.#ended;
  }
}

function build(name: TestbedName): string {
  const output = execFileSync(asset('test', 'testbed', 'build'), [name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return output.trim();
}
