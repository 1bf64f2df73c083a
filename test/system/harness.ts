import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { asset } from '../../src/assets.ts';
import { smallGuest } from '../guests.ts';

export const program = asset('bin', 'vmspawn');

export { temporaryDirectory as scratch } from '../guests.ts';

/** Words for a machine that boots the small guest's kernel directly, the quickest way there is. */
export function directBoot(machine: string): string[] {
  const { kernel, initrd } = smallGuest();
  return [
    `--machine=${machine}`,
    `--linux=${kernel}`,
    `--initrd=${initrd}`,
    '--firmware=none',
    '--ram=256M',
    '--tpm=no',
    '--kvm=no',
  ];
}

export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run of the program with pipes; what it printed can be waited for. Killed when disposed of. */
export class Run implements AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<End>;
  stdout = '';
  stderr = '';
  #changed: () => void = () => {};
  #over = false;

  constructor(words: readonly string[], environment: NodeJS.ProcessEnv = {}, command = program) {
    this.child = spawn(command, words, { env: { ...process.env, ...environment } });
    this.child.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.stdout += text;
      this.#changed();
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#changed();
    });
    this.child.stdin.on('error', () => {});
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        this.#over = true;
        this.#changed();
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Waits until standard output matches from `from` on; gives the index after the match. Throws when the run ends first. */
  async seen(pattern: RegExp, from = 0): Promise<number> {
    for (;;) {
      const match = pattern.exec(this.stdout.slice(from));
      if (match !== null) return from + match.index + match[0].length;
      if (this.#over)
        throw new Error(`No ${pattern} in: ${this.stdout.slice(-3000)}\nstderr: ${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Types a line into the guest. */
  type(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** Runs the program to its end. */
export async function vmspawn(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<End> {
  const run = new Run(words, environment);
  run.child.stdin.end();
  return run.ended;
}

/** PIDs of processes whose command line matches, without ourselves. */
export function processes(pattern: RegExp): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return pattern.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' '));
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** PID of the supervisor of a machine whose first word is `--machine=NAME`; in a terminal it is not what the shell has started. */
export function supervisor(machine: string): number {
  const [pid] = processes(new RegExp(`^(?!\\S*vmspawn-front )\\S.* \\S*main\\.cjs --machine=${machine} `));
  if (pid === undefined) throw new Error(`No supervisor of ${machine}`);
  return pid;
}

/** Waits for a condition that comes true by itself. The test's own time limit bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** PIDs of processes that work in a directory or name something in it: daemons and tools of an image there. */
export function processesIn(directory: string): number[] {
  const named = processes(new RegExp(directory.replaceAll('.', '\\.')));
  const working = processes(/./).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
    } catch {
      return false;
    }
  });
  return [...new Set([...named, ...working])];
}

/** What a machine must not leave behind; with `directory` also what works on an image in there. */
export function leftovers(machine: string, directory?: string): string[] {
  return [
    ...(directory === undefined ? [] : processesIn(directory)).map((pid) => `process ${pid} in ${directory}`),
    ...(existsSync(`/run/vmspawn/${machine}`) ? [`/run/vmspawn/${machine}`] : []),
    ...processes(new RegExp(`guest=${machine},|/run/vmspawn/${machine}/`)).map((pid) => `process ${pid}`),
  ];
}
