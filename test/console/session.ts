import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';

export const fixture = join(__dirname, 'fixtures', 'forwarder.cjs');

/** One line of the fixture's report. */
export type ReportLine = { readonly [key: string]: unknown };

/** A directory with the report of a fixture. */
export class Scratch implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'vmspawn-console-'));
  readonly report = join(this.directory, 'report');

  /** `{REPORT: ...}` on top of our own environment. */
  get environment(): { [name: string]: string } {
    const all = Object.entries({ ...process.env, REPORT: this.report, TERM: 'xterm-256color' });
    return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  text(name: string): string {
    try {
      return readFileSync(this.path(name), 'latin1');
    } catch {
      return '';
    }
  }

  lines(): ReportLine[] {
    return this.text('report')
      .split('\n')
      .filter((line) => line !== '')
      .map((line): ReportLine => JSON.parse(line));
  }

  /** The first line with this key, when it comes. */
  async line(key: string): Promise<ReportLine> {
    return until(() => this.lines().find((line) => key in line), `a report of ${key}`);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Asks again until there is an answer. The limit only keeps a failed test from hanging. */
export async function until<T>(ask: () => T | undefined | false, what: string): Promise<T> {
  for (let turn = 0; turn < 3000; turn += 1) {
    const answer = ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Waited in vain for ${what}`);
}

const over = '\x01over\x01';

/**
 * A shell script in a terminal of its own. The shell stays until disposal: with a session's first process the kernel
 * throws away what the terminal has not shown yet.
 */
export class Terminal implements AsyncDisposable {
  readonly #pty;
  readonly #chunks: Buffer[] = [];
  readonly #exited: Promise<void>;

  constructor(script: string, scratch: Scratch) {
    this.#pty = spawn('/bin/sh', ['-c', `${script}\nprintf '\\001over\\001'; exec sleep 3600`], {
      cols: 80,
      rows: 24,
      encoding: null,
      cwd: scratch.directory,
      env: scratch.environment,
    });
    // With encoding null chunks are Buffers, whatever the types say.
    this.#pty.onData((data) => this.#chunks.push(Buffer.from(data)));
    this.#exited = new Promise((resolve) => this.#pty.onExit(() => resolve()));
  }

  get pid(): number {
    return this.#pty.pid;
  }

  get output(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  write(data: Buffer | string): void {
    // Buffers are taken as well, whatever the types say; a string would be encoded as UTF-8.
    this.#pty.write(data as string);
  }

  /** Waits until this was shown. */
  async shows(text: string): Promise<void> {
    await until(() => this.output.includes(text, 0, 'latin1'), JSON.stringify(text));
  }

  /** Waits until the script is over and all of its output is here. */
  async over(): Promise<void> {
    await this.shows(over);
  }

  pause(): void {
    this.#pty.pause();
  }

  resume(): void {
    this.#pty.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pty.kill('SIGKILL');
    await this.#exited;
  }
}
