import { constants } from 'node:os';
import { keepTerminalMode } from '../console/terminal-mode.ts';
import { describeError } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { takePassedDevices } from '../host/passed.ts';
import { startMachine } from '../launch/machine.ts';
import type { RunningMachine } from '../launch/running-machine.ts';
import type { Notice } from '../plan/plan.ts';
import type { Settings } from '../settings/settings.ts';
import { isTerminal } from '../sys/stdio.ts';
import { attend } from './attend.ts';
import { EndRequests, type SignalWay } from './end-requests.ts';
import { Foreground } from './foreground.ts';
import { type Front, obstacleToLeaving } from './front.ts';
import { Messages } from './messages.ts';
import { ManagerNotifier } from './notify.ts';
import { trimMemoryAtRest } from './rest.ts';
import { keepWatchdog, watchdogTime } from './watchdog.ts';

/** Signals that ask for the machine's end. A closed terminal (SIGHUP) is one of them. */
const endSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Runs a machine in front of the user, or as a service, until it ends; the exit status. A signal gives a start up (the
 * status then is 128 and its number) and shuts a running machine down; a second one is less patient, unless it is SIGHUP.
 * `front` is who waits for us; after it was left it is nothing to us, nor is SIGHUP.
 */
export async function run(
  settings: Settings,
  environment: Environment,
  front: Front | null,
): Promise<number> {
  const messages = new Messages({ environment, quiet: settings.quiet, machine: settings.machine });
  using notifier = new ManagerNotifier(environment);
  const foreground = new Foreground(front, messages);
  const start = new AbortController();
  const requests = new EndRequests();
  let machine: RunningMachine | null = null;
  let givenUp: NodeJS.Signals | null = null;
  let asked = false;
  const notice = (one: Notice): void => {
    if (one.event === 'shutdown') notifier.stopping(one.text, settings.shutdownTimeout);
    if (one.event === 'not-ready') notifier.waiting(one.text);
    messages.notice(one);
  };
  const onSignal = (signal: NodeJS.Signals, way: SignalWay): void => {
    if (signal === 'SIGHUP' && foreground.left) return;
    if (signal === 'SIGHUP' && settings.consoleKeep) {
      foreground.want();
      return;
    }
    if (!requests.add(signal, way)) return;
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
  const onDirect = (signal: NodeJS.Signals): void => onSignal(signal, 'direct');
  for (const signal of endSignals) process.on(signal, onDirect);
  front?.listen({
    onSignal: (signal) => onSignal(signal, 'front'),
    onGone: () => onSignal('SIGHUP', 'direct'),
  });
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
    if (front?.kind === 'background') await leaveStarter(machine, settings, foreground, messages);
    const obstacle = obstacleToLeaving(front, {
      keepUnit: settings.keepUnit,
      environment,
      terminals: isTerminal(0) && isTerminal(1),
    });
    const outcome = await attend({ machine, settings, environment, messages, foreground, obstacle });
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
    for (const signal of endSignals) process.off(signal, onDirect);
    process.off('SIGUSR2', onResume);
    front?.[Symbol.dispose]();
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

/** Lets the first process of --detach return with success: when the guest is ready for who insists on its word, else at once. */
async function leaveStarter(
  { plan, ready }: RunningMachine,
  { notifyReady }: Settings,
  foreground: Foreground,
  messages: Messages,
): Promise<void> {
  try {
    if (notifyReady === true) await ready;
  } catch {
    // It has ended before; how, is still to be told.
    return;
  }
  const text = `Machine ${plan.machine} runs in the background; vmspawnctl attach ${plan.machine} shows its console.`;
  messages.notice({ level: 'notice', text });
  foreground.leave();
}
