import { bannerLines } from '../console/banner.ts';
import { forwardConsole } from '../console/forward.ts';
import { describeError } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { startMachine } from '../launch/machine.ts';
import type { RunningMachine } from '../launch/running-machine.ts';
import type { Notice } from '../plan/plan.ts';
import type { Settings } from '../settings/settings.ts';
import { trimMemory } from '../sys/madvise.ts';
import { writeErr } from '../sys/stdio.ts';
import { ManagerNotifier } from './notify.ts';

/** Milliseconds of rest after which the pages of Node's own binary are given back. */
const restTime = 2_000;

/** Signals that ask for the machine's end. A closed terminal (SIGHUP) is one of them. */
const endSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Runs a machine in front of the user until it ends; the exit status. A signal gives a start up and shuts a running
 * machine down; a second one is less patient.
 */
export async function run(settings: Settings, environment: Environment): Promise<number> {
  const notifier = new ManagerNotifier(environment);
  const start = new AbortController();
  let machine: RunningMachine | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    notifier.stopping();
    if (machine === null) start.abort(new Error(`signal ${signal}`));
    else machine.requestShutdown(`signal ${signal}`);
  };
  for (const signal of endSignals) process.on(signal, onSignal);
  try {
    machine = await startMachine({
      settings,
      environment,
      signal: start.signal,
      notice: (notice) => showNotice(notice, settings),
    });
    if (start.signal.aborted) machine.requestShutdown('a signal during the start');
    notifier.ready(machine);
    return await attend(machine, settings, environment);
  } finally {
    for (const signal of endSignals) process.off(signal, onSignal);
  }
}

/** Console and memory while the machine runs, then its outcome. */
async function attend(
  machine: RunningMachine,
  settings: Settings,
  environment: Environment,
): Promise<number> {
  const rest = setTimeout(trimMemory, restTime);
  rest.unref();
  for (const line of bannerLines(machine.plan, settings, environment)) writeErr(`${line}\n`);
  const { mode } = machine.plan.console;
  let status = 1;
  {
    await using console =
      machine.console !== null && (mode === 'interactive' || mode === 'read-only')
        ? forwardConsole({
            console: machine.console,
            input: mode === 'interactive' ? 0 : null,
            output: 1,
            mode,
            onEnd: () => machine.end('the user asked for it'),
            onActivity: () => rest.refresh(),
          })
        : null;
    const outcome = await machine.exited;
    await console?.drained();
    status = outcome.status;
    if (outcome.error !== null) process.nextTick(() => undefined);
  }
  const { error } = await machine.exited;
  if (error !== null) writeErr(`vmspawn: ${describeError(error)}\n`);
  return status;
}

function showNotice(notice: Notice, settings: Settings): void {
  if (notice.level === 'notice' && settings.quiet) return;
  writeErr(`vmspawn: ${notice.text}\n`);
}
