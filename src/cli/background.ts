import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { asset } from '../assets.ts';
import { UsageError } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import type { Settings } from '../settings/settings.ts';
import { readPipe } from '../sys/pipe-reader.ts';
import { socketpair } from '../sys/socketpair.ts';
import { frontVariable, leaving } from './front.ts';

const passedOn = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * What --detach makes of the settings: a console that is kept and that nobody is attached to. Throws UsageError where that
 * contradicts what else is wanted.
 */
export function backgroundSettings(settings: Settings): Settings {
  const { console: mode, dryRun, keepUnit } = settings;
  const contradiction =
    dryRun !== null
      ? '--dry-run, which starts nothing'
      : keepUnit
        ? '--keep-unit, whose unit ends with the process that it was started with'
        : mode === 'native' || mode === 'gui' || mode === 'read-only'
          ? `--console=${mode}, which needs somebody in front of it`
          : null;
  if (contradiction !== null) throw new UsageError(`--detach cannot be combined with ${contradiction}.`);
  return { ...settings, console: 'headless' };
}

/**
 * Starts this program once more with the same words, in a session of its own, and waits until its machine runs; gives the
 * exit status. What it says until then it says on our standard error.
 */
export async function startInBackground(words: readonly string[], environment: Environment): Promise<number> {
  const [ours, theirs] = socketpair();
  const child = spawn(process.execPath, [...process.execArgv, asset('dist', 'main.cjs'), ...words], {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', theirs],
    env: { ...environment, [frontVariable]: 'background:3' },
  });
  closeSync(theirs);
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of passedOn) process.on(signal, pass);
  let runs: () => void = () => {};
  const running = new Promise<number>((resolve) => {
    runs = () => resolve(0);
  });
  using reader = readPipe(ours, (chunk) => {
    if (chunk.includes(leaving)) runs();
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      reader.drain();
      // Without a machine that runs there is no success.
      resolve(signal === null ? code || 1 : 128 + constants.signals[signal]);
    });
  });
  try {
    return await Promise.race([running, ended]);
  } finally {
    for (const signal of passedOn) process.off(signal, pass);
    child.unref();
  }
}
