import { startBanner } from '../console/banner.ts';
import { forwardConsole } from '../console/forward.ts';
import { keepTerminalMode, lineEnd } from '../console/terminal-mode.ts';
import { describeError, printable } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { startMachine } from '../launch/machine.ts';
import type { RunningMachine } from '../launch/running-machine.ts';
import type { Notice } from '../plan/plan.ts';
import type { Settings } from '../settings/settings.ts';
import { isTerminal, writeErr } from '../sys/stdio.ts';
import { ManagerNotifier } from './notify.ts';
import { colourAllowed } from './output.ts';
import { trimMemoryAtRest } from './rest.ts';

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
    if (machine === null) start.abort(new Error(`${signal} received`));
    else machine.requestShutdown(`${signal} received`);
  };
  for (const signal of endSignals) process.on(signal, onSignal);
  const onResume = (): void => {
    machine
      ?.resume()
      .catch((error: unknown) =>
        showNotice({ level: 'warning', text: `It stays paused: ${describeError(error)}` }, settings),
      );
  };
  process.on('SIGUSR2', onResume);
  // Before QEMU changes the modes itself: one that is killed leaves the terminal as it had it in use.
  using _modes = settings.console === 'native' && isTerminal(0) ? keepTerminalMode(0) : null;
  try {
    machine = await startMachine({
      settings,
      environment,
      signal: start.signal,
      notice: (notice) => showNotice(notice, settings),
    });
    if (start.signal.aborted) machine.requestShutdown('Signal received');
    else notifier.ready(machine);
    using _rest = trimMemoryAtRest();
    const outcome = await attend(machine, settings, environment);
    machine.console?.destroy();
    if (outcome.error !== null) writeErr(`vmspawn: ${describeError(outcome.error)}\n`);
    notifier.exiting(outcome.status);
    return outcome.status;
  } finally {
    for (const signal of endSignals) process.off(signal, onSignal);
    process.off('SIGUSR2', onResume);
  }
}

/** The console in front of the user until the machine is gone and all that it wrote is out. */
async function attend(
  machine: RunningMachine,
  settings: Settings,
  environment: Environment,
): Promise<Awaited<RunningMachine['exited']>> {
  const { mode } = machine.plan.console;
  writeErr(
    startBanner({
      machine: machine.plan.machine,
      source: settings.image ?? settings.linux,
      mode,
      quiet: settings.quiet,
      colour: colourAllowed(environment, isTerminal(2)),
    }),
  );
  if (machine.console === null) {
    return await machine.exited;
  }
  await using _console = forwardConsole({
    console: machine.console,
    input: mode === 'interactive' ? 0 : null,
    output: 1,
    mode: mode === 'interactive' ? 'interactive' : 'read-only',
    onEnd: (end) => {
      if (end.reason === 'hotkey') machine.end('Ctrl-] pressed three times');
      else if (end.reason === 'output-closed') machine.requestShutdown('Standard output closed');
      else if (end.reason === 'terminal-closed') machine.requestShutdown('Terminal closed');
      else if (end.reason === 'failed')
        showNotice({ level: 'warning', text: `The console is lost: ${end.error.message}` }, settings);
    },
  });
  return await machine.exited;
}

function showNotice(notice: Notice, settings: Settings): void {
  if (notice.level === 'notice' && settings.quiet) return;
  const end = lineEnd();
  // On a raw terminal the guest's cursor is anywhere: a line of its own.
  writeErr(`${end === '\r\n' ? end : ''}vmspawn: ${printable(notice.text)}${end}`);
}
