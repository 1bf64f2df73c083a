import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

export interface Finished {
  /** Exit status; 128 and the signal's number after a death by signal, as a shell says it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs in a testbed; what it printed can be waited for. Killed when disposed of. */
export class TestbedProcess implements AsyncDisposable {
  readonly stdin: Writable;
  /** Resolves when it is over and its output closed; whoever has inherited that keeps it open. */
  readonly ended: Promise<Finished>;
  /** The service that it runs in, when it was started with `unit`. */
  readonly unit: string | undefined;
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #manager: string;
  readonly #run: (command: readonly string[]) => Promise<Finished>;
  readonly #first: Promise<string>;
  #over = false;
  readonly #waiting: Array<() => void> = [];

  /**
   * Only for Testbed: `child` writes its PID, as the testbed sees it, to descriptor 3; `manager` is --user or --system;
   * `run` runs a command in the testbed as the same user.
   */
  constructor(
    child: ChildProcess,
    unit: string | undefined,
    manager: string,
    run: (command: readonly string[]) => Promise<Finished>,
  ) {
    const [stdin, stdout, stderr, first] = child.stdio as [Writable, Readable, Readable, Readable, null];
    this.#child = child;
    this.#manager = manager;
    this.#run = run;
    // Not up to its end: who has entered for it keeps it open.
    this.#first = new Promise((resolve) => {
      const lines = createInterface(first);
      lines.once('line', resolve);
      // It could not even be started: no process of that PID.
      lines.once('close', () => resolve('0'));
    });
    this.unit = unit;
    this.stdin = stdin;
    stdin.on('error', () => {});
    stdout.setEncoding('utf8').on('data', (data: string) => {
      this.stdout += data;
      this.#changed();
    });
    stderr.setEncoding('utf8').on('data', (data: string) => {
      this.stderr += data;
      this.#changed();
    });
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.#over = true;
        this.#changed();
        const status = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
        resolve({ status, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Its PID as the testbed sees it; of a service the main PID, 0 when it is not running. */
  async pid(): Promise<number> {
    if (this.unit === undefined) return Number(await this.#first);
    const shown = await this.#run([
      'systemctl',
      this.#manager,
      'show',
      '--value',
      '-p',
      'MainPID',
      this.unit,
    ]);
    return Number(shown.stdout);
  }

  /** Waits until `from` on of standard output matches; gives the index after the match. Throws when it ends before. */
  async seen(pattern: RegExp, from = 0): Promise<number> {
    for (;;) {
      const match = pattern.exec(this.stdout.slice(from));
      if (match !== null) return from + match.index + match[0].length;
      if (this.#over)
        throw new Error(`No ${pattern} in: ${this.stdout.slice(-3000)}\nstderr: ${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** Types a line. */
  type(line: string): void {
    this.stdin.write(`${line}\n`);
  }

  /** Sends a signal to the process itself, or to the main process of its service. One that is over gets none. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.unit !== undefined) {
      await this.#run([
        'systemctl',
        this.#manager,
        'kill',
        '--kill-who=main',
        `--signal=${signal}`,
        this.unit,
      ]);
      return;
    }
    await this.#run(['kill', '-s', signal.replace('SIG', ''), String(await this.pid())]);
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    const gone = this.#child.exitCode !== null || this.#child.signalCode !== null;
    if (!gone) {
      const exit = once(this.#child, 'exit');
      await this.kill();
      await exit;
    }
    // Somebody may have inherited its output.
    for (const stream of this.#child.stdio) stream?.destroy();
    await this.ended;
  }
}
