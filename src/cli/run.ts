import { constants } from 'node:os';
import { startBanner } from '../console/banner.ts';
import { forwardConsole } from '../console/forward.ts';
import { keepTerminalMode } from '../console/terminal-mode.ts';
import { describeError } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { takePassedDevices } from '../host/passed.ts';
import { startMachine } from '../launch/machine.ts';
import type { RunningMachine } from '../launch/running-machine.ts';
import type { Notice } from '../plan/plan.ts';
import type { Settings } from '../settings/settings.ts';
import { isTerminal, writeErr } from '../sys/stdio.ts';
import { consoleLook } from './look.ts';
import { Messages } from './messages.ts';
import { ManagerNotifier } from './notify.ts';
import { colourAllowed } from './output.ts';
import { trimMemoryAtRest } from './rest.ts';
import { keepWatchdog, watchdogTime } from './watchdog.ts';

/** Signals that ask for the machine's end. A closed terminal (SIGHUP) is one of them. */
const endSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Runs a machine in front of the user, or as a service, until it ends; the exit status. A signal gives a start up (the
 * status then is 128 and its number) and shuts a running machine down; a second one is less patient, unless it is SIGHUP.
 */
export async function run(settings: Settings, environment: Environment): Promise<number> {
  const messages = new Messages({ environment, quiet: settings.quiet, machine: settings.machine });
  using notifier = new ManagerNotifier(environment);
  const start = new AbortController();
  let machine: RunningMachine | null = null;
  let givenUp: NodeJS.Signals | null = null;
  let asked = false;
  const notice = (one: Notice): void => {
    if (one.event === 'shutdown') notifier.stopping(one.text, settings.shutdownTimeout);
    messages.notice(one);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    // Signals come together when a session ends (SIGTERM and SIGHUP), a terminal is closed (SIGHUP from the kernel and from
    // the shell) or the host is shut down (the guard asks too). Nobody is impatient who has not asked before.
    const again = asked && signal !== 'SIGHUP';
    asked ||= signal !== 'SIGHUP';
    if (machine !== null) {
      if (again || !machine.shuttingDown) machine.requestShutdown(`${signal} received`);
      return;
    }
    givenUp ??= signal;
    notifier.stopping(`${signal} received: the start is given up.`, 0);
    start.abort(new Error(`${signal} received`));
  };
  for (const signal of endSignals) process.on(signal, onSignal);
  const onResume = (): void => {
    machine
      ?.resume()
      .catch((error: unknown) =>
        notice({ level: 'warning', text: `It stays paused: ${describeError(error)}` }),
      );
  };
  process.on('SIGUSR2', onResume);
  // Before QEMU changes the modes itself: one that is killed leaves the terminal as it had it in use.
  using _modes = settings.console === 'native' && isTerminal(0) ? keepTerminalMode(0) : null;
  try {
    notifier.starting();
    const warn = (text: string) => notice({ level: 'warning', text });
    const passed = takePassedDevices(environment, process.pid, warn);
    machine = await startMachine({
      settings,
      environment,
      signal: start.signal,
      passed,
      notice,
      status: (text) => notifier.guestStatus(text),
    });
    messages.started(machine.plan.machine, machine.pid);
    if (start.signal.aborted) machine.requestShutdown('Signal received');
    else {
      const running = machine;
      notifier.started(running);
      running.ready.then(
        () => notifier.ready(running),
        () => {},
      );
    }
    // From here on the watchdog has nothing to watch.
    void machine.ended.then(() => notifier.stopping('The machine ends.', 0));
    using _rest = trimMemoryAtRest();
    using _watchdog = startWatchdog(machine, notifier, environment);
    const outcome = await attend(machine, settings, environment, messages);
    machine.console?.destroy();
    if (outcome.error === null) messages.stopped(outcome.status);
    else messages.failed(outcome.error, outcome.status);
    notifier.exiting(outcome.status, outcome.error);
    return outcome.status;
  } catch (error) {
    const status = givenUp === null || machine !== null ? 1 : 128 + constants.signals[givenUp];
    messages.failed(error, status);
    notifier.exiting(status, error);
    return status;
  } finally {
    for (const signal of endSignals) process.off(signal, onSignal);
    process.off('SIGUSR2', onResume);
  }
}

function startWatchdog(
  machine: RunningMachine,
  notifier: ManagerNotifier,
  environment: Environment,
): Disposable | null {
  const time = watchdogTime(environment, process.pid);
  if (time === null) return null;
  return keepWatchdog({
    time,
    alive: (timeout) => machine.alive(timeout),
    ping: () => notifier.watchdog(),
  });
}

/** What is shown in place of what the user's side was too slow to take. */
function lostText(bytes: number): string {
  return `\r\n[${bytes} bytes of the console were lost here]\r\n`;
}

/** The console in front of the user until the machine is gone and all that it wrote is out. */
async function attend(
  machine: RunningMachine,
  settings: Settings,
  environment: Environment,
  messages: Messages,
): Promise<Awaited<RunningMachine['exited']>> {
  const { mode } = machine.plan.console;
  if (!messages.journal) {
    writeErr(
      startBanner({
        machine: machine.plan.machine,
        source: settings.image ?? settings.directory ?? settings.linux,
        mode,
        quiet: settings.quiet,
        colour: colourAllowed(environment, isTerminal(2)),
      }),
    );
  }
  if (machine.console === null || mode === 'headless') {
    return await machine.exited;
  }
  const hungUp = (reason: string): void => {
    if (!machine.shuttingDown) machine.requestShutdown(reason);
  };
  const view = machine.console.open({
    write: mode === 'interactive' ? 'ask' : 'no',
    from: 'begin',
    lost: lostText,
  });
  await using _console = forwardConsole({
    console: view,
    onSize: (size) => view.setSize(size),
    look: consoleLook(settings, machine.plan.machine, environment),
    input: mode === 'interactive' ? 0 : null,
    output: 1,
    mode: mode === 'interactive' ? 'interactive' : 'read-only',
    onEnd: (end) => {
      if (end.reason === 'hotkey') machine.end('Ctrl-] pressed three times');
      else if (end.reason === 'output-closed') hungUp('Standard output closed');
      else if (end.reason === 'terminal-closed') hungUp('Terminal closed');
      else if (end.reason === 'failed')
        messages.notice({ level: 'warning', text: `The console is lost: ${end.error.message}` });
    },
  });
  return await machine.exited;
}
