import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** What one run of a QEMU answered to a list of commands: a value for each, or the error's words. */
export type Answer = { readonly value: unknown } | { readonly error: string };

export interface Question {
  readonly execute: string;
  readonly arguments?: { readonly [name: string]: unknown };
}

export interface SessionOutcome {
  /** In the order of the questions; null where the session ended before. */
  readonly answers: readonly (Answer | null)[];
  readonly greeting: unknown;
  /** Why not all questions were answered, as a sentence part; null when they were. */
  readonly failure: string | null;
}

const OUTPUT_LIMIT = 16 * 1024 ** 2;
const TAIL = 2048;

/**
 * Starts `binary` with an empty machine and asks all `questions` on its standard input at once. The process, and
 * what it has started, is gone when the promise settles; it never rejects. Not the QMP client: this is one question
 * and answer, and nothing below plan/ and qemu/ may use that.
 */
export async function askQemu(
  binary: string,
  questions: readonly Question[],
  { timeout }: { timeout: number },
): Promise<SessionOutcome> {
  const { spawn } = await import('node:child_process');
  // A build that is named qemu-kvm would take KVM first, and die where that cannot be used.
  const words = ['-machine', 'none', '-accel', 'tcg', '-accel', 'kvm', '-nodefaults', '-no-user-config'];
  words.push('-display', 'none', '-S', '-qmp', 'stdio');
  // Nothing ever comes on descriptor 3. It makes QEMU end when we do, even by SIGKILL: a migration that breaks off is
  // fatal, while the end of a monitor's connection is not.
  words.push('-incoming', 'fd:3');
  // A group of its own, so that what a wrapper script has started ends with it.
  const child = spawn(binary, words, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], detached: true });
  // Without a free descriptor there are no pipes, whatever the types say; the 'error' comes later.
  const input: Writable | undefined = child.stdin;
  if (input === undefined) {
    const [error] = await once(child, 'error');
    return { answers: questions.map(() => null), greeting: undefined, failure: cannotStart(error) };
  }

  const answers: (Answer | null)[] = questions.map(() => null);
  let greeting: unknown;
  let failure: string | null = null;
  let unanswered = questions.length;
  let stop: () => void = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const fail = (reason: string) => {
    failure ??= reason;
    stop();
  };

  const read = (line: string) => {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return fail(`it printed ${quote(line)} where QMP was expected`);
    }
    if (typeof message !== 'object' || message === null) return fail(`it printed ${quote(line)}`);
    if ('QMP' in message) greeting = message.QMP;
    if (!('id' in message) || typeof message.id !== 'number' || answers[message.id] !== null) return;
    if ('return' in message) answers[message.id] = { value: message.return };
    else if ('error' in message) answers[message.id] = { error: errorWords(message.error) };
    else return;
    unanswered -= 1;
    if (unanswered === 0) stop();
  };

  let errors = '';
  onLines(child.stdout, read, () => fail('it printed more than 16 MB'));
  child.stderr.on('data', (chunk) => {
    errors = (errors + String(chunk)).slice(-TAIL);
  });
  // A program that reads nothing and ends: its own words say more than EPIPE.
  input.on('error', () => {});
  child.stdio[3]?.on('error', () => {});
  child.on('error', (error) => fail(cannotStart(error)));
  const closed = new Promise<void>((resolve) => {
    child.on('close', (code, signal) => {
      if (unanswered > 0) fail(ended(code, signal, errors));
      resolve();
    });
    child.on('error', () => {
      if (child.pid === undefined) resolve();
    });
  });
  const timer = setTimeout(() => {
    const words = lastWords(errors);
    fail(`it did not answer within ${timeout / 1000} s${words === '' ? '' : `; its last words: ${words}`}`);
  }, timeout);

  input.write(
    [{ execute: 'qmp_capabilities' }, ...questions.map((question, id) => ({ ...question, id }))]
      .map((command) => `${JSON.stringify(command)}\n`)
      .join(''),
  );
  await stopped;
  clearTimeout(timer);
  if (child.pid !== undefined) {
    try {
      // There is nothing in it that a clean end would save.
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  await closed;
  return { answers, greeting, failure };
}

function onLines(stream: Readable, read: (line: string) => void, overflow: () => void): void {
  let rest = '';
  let total = 0;
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    total += chunk.length;
    if (total > OUTPUT_LIMIT) return overflow();
    if (!chunk.includes('\n')) {
      rest += chunk;
      return;
    }
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') read(line);
  });
  stream.on('end', () => {
    if (rest.trim() !== '') read(rest);
  });
}

function cannotStart(error: unknown): string {
  return `it cannot be started (${error instanceof Error ? error.message : String(error)})`;
}

function ended(code: number | null, signal: string | null, errors: string): string {
  const how = signal === null ? `ended with status ${code}` : `was killed by ${signal}`;
  const words = lastWords(errors);
  return words === '' ? `it ${how} and said nothing` : `it ${how} and said: ${words}`;
}

function lastWords(errors: string): string {
  return errors.trim().split('\n').slice(-3).join(' ').slice(-400).trim();
}

function errorWords(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'desc' in error) return String(error.desc);
  return 'an error without words';
}

function quote(line: string): string {
  return JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}...` : line);
}
