import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type IPty, spawn } from '@lydell/node-pty';
import { execa } from 'execa';
import { program, scratch, until } from './harness.ts';

/** What a terminal does not show of a text: control strings, escape and control sequences, CAN and shifts. */
const unseen =
  /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[!-?]*[ -/]*[@-~]|\x1b[ -/]*[0-Z\\-~]|[\x0e\x0f\x18]/g;

export interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly environment?: { readonly [name: string]: string };
}

/** A shell in a terminal of its own that tells the terminal's modes before and after a run of a command. */
export class Terminal implements Disposable {
  readonly #pty: IPty;
  #changed: () => void = () => {};
  /** All that was written to it. */
  screen = '';

  constructor(command: readonly string[], options: TerminalOptions = {}) {
    const { columns = 100, rows = 30, environment = {} } = options;
    // Ctrl-C goes to the shell as well; a trap, unlike an ignored signal, is not inherited. The shell stays: with a session's
    // first process the kernel throws away what the terminal has not shown yet.
    const script = `trap : INT; echo "before=$(stty -g)"; "$@"; echo "status=$?"; echo "after=$(stty -g)"; echo over
      exec sleep 1000`;
    const env = Object.fromEntries(
      Object.entries({ ...process.env, ...environment }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    );
    this.#pty = spawn('sh', ['-c', script, 'sh', ...command], { cols: columns, rows, env });
    this.#pty.onData((text) => {
      this.screen += text;
      this.#changed();
    });
  }

  /** What a user sees of it, one line below the other. */
  get text(): string {
    return this.screen.replace(unseen, '');
  }

  /** Waits until what was written from `from` on matches. Throws when the command ends first. */
  async seen(pattern: RegExp, from = 0): Promise<void> {
    while (!pattern.test(this.screen.slice(from))) {
      if (/^over\r?$/m.test(this.screen)) throw new Error(`No ${pattern} in ${this.screen}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Of the shell, and of the process group of all that it starts. */
  get pid(): number {
    return this.#pty.pid;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  /** The command ends with this status, and the modes are those of before. */
  async unchanged(status: number): Promise<void> {
    await this.seen(/^over\r?$/m);
    const before = /^before=(\S+)/m.exec(this.screen)?.[1];
    const after = /^after=(\S+)/m.exec(this.screen)?.[1];
    assert.ok(before !== undefined && before.length > 20);
    assert.equal(after, before);
    assert.match(this.text, new RegExp(`^status=${status}\\r?$`, 'm'));
  }

  /** Closes it: everybody in it gets SIGHUP. */
  [Symbol.dispose](): void {
    this.#pty.kill('SIGKILL');
  }
}

/** A terminal emulator with a shell in it, driven from outside. Ended with all that runs in it when disposed of. */
export class Tmux implements AsyncDisposable {
  readonly #directory = scratch();

  /** The shell's prompt is `$ `. */
  static async start(columns = 100, rows = 30): Promise<Tmux> {
    const tmux = new Tmux();
    const size = ['-x', String(columns), '-y', String(rows)];
    await tmux.run('new-session', '-d', ...size, 'env', 'PS1=$ ', 'ENV=', '/bin/sh');
    await tmux.shows(/^\$/m);
    return tmux;
  }

  /** Gives what a command of tmux prints. */
  async run(...words: string[]): Promise<string> {
    const environment = { TERM: 'xterm-256color', NO_COLOR: undefined, TMUX: undefined };
    const { stdout } = await execa(
      'tmux',
      ['-S', `${this.#directory.path}/tmux`, '-f', '/dev/null', ...words],
      { env: environment },
    );
    return stdout;
  }

  /** Gives a function that gives all that is written to it from now on. */
  async written(): Promise<() => string> {
    const file = `${this.#directory.path}/written`;
    writeFileSync(file, '');
    await this.run('pipe-pane', `exec cat >>${file}`);
    return () => readFileSync(file, 'latin1');
  }

  /** The shell runs the program between two looks at the terminal's modes, see `back`. */
  async launch(words: readonly string[], command = program): Promise<void> {
    const quoted = [command, ...words].map((word) => `'${word}'`).join(' ');
    const file = (name: string) => `${this.#directory.path}/${name}`;
    await this.type(
      `clear; rm -f ${file('over')}; stty -g >${file('before')}; ${quoted}; echo $? >${file('status')}; stty -g >${file('after')}; : >${file('over')}`,
    );
  }

  /** The program has ended with this status, and the terminal's modes are those of before. */
  async back(status: number): Promise<void> {
    const text = (name: string) => {
      try {
        return readFileSync(`${this.#directory.path}/${name}`, 'latin1');
      } catch {
        return null;
      }
    };
    await until(() => text('over') !== null);
    assert.equal(text('status'), `${status}\n`);
    assert.match(text('before') ?? '', /^[0-9a-f:]+\n$/);
    assert.equal(text('after'), text('before'));
  }

  /** Types text as it is, then Enter. */
  async type(text: string): Promise<void> {
    await this.run('send-keys', '-l', text);
    await this.press('Enter');
  }

  /** Keys by tmux's names. */
  async press(...keys: string[]): Promise<void> {
    await this.run('send-keys', ...keys);
  }

  /** What the screen shows, with what has left it at the top, and its colours as escape sequences if wanted. */
  async screen({ colours = false, history = false } = {}): Promise<string> {
    return await this.run('capture-pane', '-p', ...(colours ? ['-e'] : []), ...(history ? ['-S', '-'] : []));
  }

  /** Waits until the screen matches, and gives it; the test's own time limit bounds it. */
  async shows(pattern: RegExp, options: { history?: boolean } = {}): Promise<string> {
    for (;;) {
      // tmux leaves out the blanks at the end of a line.
      const screen = (await this.screen(options)).replace(/[#:]$/gm, '$& ');
      if (pattern.test(screen)) return screen;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.run('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Closes it: everybody in it gets SIGHUP. */
  async close(): Promise<void> {
    await this.run('kill-server').catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    this.#directory[Symbol.dispose]();
  }
}
