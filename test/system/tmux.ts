import { execa } from 'execa';

/** A terminal emulator with a shell in it, driven from outside. Ended with all that runs in it when disposed of. */
export class Tmux implements AsyncDisposable {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** `directory` is for the server's socket; the shell's prompt is `$ `. */
  static async start(directory: string, columns: number, rows: number): Promise<Tmux> {
    const tmux = new Tmux(`${directory}/tmux`);
    const size = ['-x', String(columns), '-y', String(rows)];
    await tmux.run('new-session', '-d', ...size, 'env', 'PS1=$ ', 'ENV=', '/bin/sh');
    await tmux.shows(/^\$/m);
    return tmux;
  }

  async run(...words: string[]): Promise<string> {
    const environment = { TERM: 'xterm-256color', NO_COLOR: undefined, TMUX: undefined };
    const { stdout } = await execa('tmux', ['-S', this.#socket, '-f', '/dev/null', ...words], {
      env: environment,
    });
    return stdout;
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

  /** What the screen shows, with its colours as escape sequences if wanted. */
  async screen({ colours = false } = {}): Promise<string> {
    return await this.run('capture-pane', '-p', ...(colours ? ['-e'] : []));
  }

  /** Waits until the screen matches; the test's own time limit bounds it. */
  async shows(pattern: RegExp): Promise<string> {
    for (;;) {
      // tmux leaves out the blanks at the end of a line.
      const screen = (await this.screen()).replace(/[#:]$/gm, '$& ');
      if (pattern.test(screen)) return screen;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.run('resize-window', '-x', String(columns), '-y', String(rows));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run('kill-server').catch(() => {});
  }
}
