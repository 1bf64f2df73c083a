import type * as childProcess from 'node:child_process';
import { createRequire } from 'node:module';
import type { Environment } from '../host/identity.ts';
import { booleanWord } from '../settings/quantities.ts';

export interface PagerUse {
  /** Settings.pager. */
  readonly wanted: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly environment: Environment;
  /** Writes to standard output. */
  readonly write: (text: string) => void;
}

/** What is tried in turn, each a program with its arguments, and the environment for it. */
export interface PagerChoice {
  readonly candidates: readonly (readonly [string, ...string[]])[];
  readonly environment: Environment;
}

/**
 * Which pager serves, by the rules of systemd's tools: $SYSTEMD_PAGER, else $PAGER, else less; empty or `cat` is none.
 * Under sudo and its kind only less in its secure mode, in which it can neither start programs nor open files, unless
 * $SYSTEMD_PAGERSECURE says otherwise. Null: write without one.
 */
export function choosePager(use: Omit<PagerUse, 'write'>): PagerChoice | null {
  const from = use.environment;
  if (!use.wanted || !use.stdoutIsTerminal || (from['TERM'] ?? 'dumb') === 'dumb') return null;
  const said = booleanWord(from['SYSTEMD_PAGERSECURE'] ?? '');
  const elevated = ['SUDO_UID', 'PKEXEC_UID', 'DOAS_USER'].some((name) => from[name] !== undefined);
  const secure = said ?? elevated;
  const words = split(from['SYSTEMD_PAGER'] ?? from['PAGER'] ?? 'less');
  if (words === null || words[0] === 'cat') return null;
  const environment: Record<string, string | undefined> = {
    ...from,
    LESS: from['SYSTEMD_LESS'] ?? 'FRSXMK',
    LESSCHARSET: from['SYSTEMD_LESSCHARSET'] ?? 'utf-8',
  };
  if (secure) environment['LESSSECURE'] = '1';
  // Another pager's secure mode is unknown: under sudo it takes an explicit word to run it.
  if (secure && said === undefined) return { candidates: [['less']], environment };
  return { candidates: words[0] === 'less' ? [words] : [words, ['less']], environment };
}

/** Shows `text` through the pager, or writes it when there is none that starts. Returns when the user has left it. */
export function page(text: string, use: PagerUse): void {
  const choice = choosePager(use);
  if (choice !== null) {
    const { spawnSync } = createRequire(__filename)('node:child_process') as typeof childProcess;
    for (const [program, ...words] of choice.candidates) {
      const { error } = spawnSync(program, words, {
        input: text,
        stdio: ['pipe', 'inherit', 'inherit'],
        env: { ...choice.environment },
      });
      // EPIPE is a user who left early.
      if (error === undefined || ('code' in error && error.code === 'EPIPE')) return;
    }
  }
  use.write(text);
}

/** Words at blanks, with plain quotes; null for no word at all. */
function split(command: string): [string, ...string[]] | null {
  const words = [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
  const [first, ...rest] = words;
  return first === undefined || first === '' ? null : [first, ...rest];
}
