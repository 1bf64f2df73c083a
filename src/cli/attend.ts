import { startBanner } from '../console/banner.ts';
import { type ContextExit, isDumb } from '../console/context.ts';
import { answerTime, type ForwardEnd, forwardConsole } from '../console/forward.ts';
import { afterAny } from '../console/guest-output.ts';
import type { HotkeyAction } from '../console/input.ts';
import { allowedByDefault } from '../console/terminal-reach.ts';
import { lostText } from '../console/view.ts';
import { describeError } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import type { RunningMachine } from '../launch/running-machine.ts';
import type { Settings } from '../settings/settings.ts';
import { isTerminal, writeErr } from '../sys/stdio.ts';
import type { Foreground } from './foreground.ts';
import { consoleLook } from './look.ts';
import type { Messages } from './messages.ts';
import { colourAllowed } from './output.ts';

export interface Attendance {
  readonly machine: RunningMachine;
  readonly settings: Settings;
  readonly environment: Environment;
  readonly messages: Messages;
  readonly foreground: Foreground;
  /** Why the machine cannot be left running, or null. */
  readonly obstacle: string | null;
}

/**
 * The console in front of the user until the machine is gone and all that it wrote is out, or until the user leaves it: then
 * the terminal is in order again, and the machine is waited for without it.
 */
export async function attend(attendance: Attendance): Promise<Awaited<RunningMachine['exited']>> {
  const { machine, settings, environment, messages, foreground, obstacle } = attendance;
  const { mode } = machine.plan.console;
  if (!messages.journal && !foreground.left) {
    writeErr(
      startBanner({
        machine: machine.plan.machine,
        source: settings.image ?? settings.directory ?? settings.linux,
        mode,
        quiet: settings.quiet,
        colour: colourAllowed(environment, isTerminal(2)),
        keys: isTerminal(0),
        detachable: obstacle === null,
      }),
    );
  }
  // Written by QEMU itself, as it comes from the guest: nobody knows what it asks.
  if (mode === 'native')
    foreground.prepareForDeath({
      text: isDumb(environment) ? '' : afterAny(allowedByDefault),
      answerTime,
    });
  if (machine.console === null || mode === 'headless') return await machine.exited;
  if (await forward(attendance)) {
    writeErr(
      `Detached from machine ${machine.plan.machine}; vmspawnctl attach ${machine.plan.machine} comes back.\n`,
    );
    foreground.leave();
  }
  return await machine.exited;
}

/** Until the machine is gone, or somebody wants to leave it: true. */
async function forward(attendance: Attendance): Promise<boolean> {
  const { machine, settings, environment, messages, foreground } = attendance;
  if (machine.console === null || foreground.isWanted) return foreground.isWanted;
  const interactive = machine.plan.console.mode === 'interactive';
  const view = machine.console.open({
    write: interactive ? 'ask' : 'no',
    from: 'begin',
    lost: lostText,
  });
  view.on('stolen', () => {
    messages.notice({
      level: 'warning',
      text: 'Somebody else writes to the console now; it is only shown here.',
    });
  });
  view.on('returned', () => {
    messages.notice({ level: 'notice', text: 'The console is written to from here again.' });
  });
  let exit: ContextExit | null = null;
  const over = machine.exited.then(async (outcome) => {
    const { signal } = await machine.ended;
    exit = outcome.error === null || signal === null ? { status: outcome.status } : { signal };
  });
  const outputIsTerminal = isTerminal(1);
  await using _console = forwardConsole({
    console: view,
    onSize: (size) => view.setSize(size),
    onUndo: (undo) => foreground.prepareForDeath(undo),
    look: consoleLook(settings, machine.plan.machine, environment, () => exit),
    input: interactive ? 0 : null,
    output: 1,
    mode: interactive ? 'interactive' : 'read-only',
    onEnd: (end) => onEnd(end, attendance, outputIsTerminal),
  });
  const left = await Promise.race([over.then(() => false), foreground.wanted.then(() => true)]);
  // What the guest goes on to write is for others.
  if (left) view.destroy();
  return left;
}

function onEnd(end: ForwardEnd, attendance: Attendance, outputIsTerminal: boolean): void {
  const { machine, settings, messages, foreground } = attendance;
  const hungUp = (reason: string, terminal: boolean): void => {
    if (terminal && settings.consoleKeep) foreground.want();
    else if (!machine.shuttingDown) machine.requestShutdown(reason);
  };
  if (end.reason === 'hotkey') obey(end.action, attendance);
  else if (end.reason === 'output-closed') hungUp('Standard output closed', outputIsTerminal);
  else if (end.reason === 'terminal-closed') hungUp('Terminal closed', true);
  else if (end.reason === 'failed')
    messages.notice({ level: 'warning', text: `The console is lost: ${end.error.message}` });
}

function obey(action: HotkeyAction, { machine, messages, foreground, obstacle }: Attendance): void {
  const warn = (text: string) => messages.notice({ level: 'warning', text });
  switch (action) {
    case 'end':
      machine.end('Ctrl-] pressed three times');
      break;
    case 'reboot':
      machine.controlled
        .reboot()
        .catch((error: unknown) => warn(`It cannot be rebooted: ${describeError(error)}`));
      break;
    case 'power-off':
      machine.controlled.powerOff();
      break;
    case 'detach':
      if (obstacle === null) foreground.want();
      else warn(`The machine cannot be left running here: ${obstacle}.`);
      break;
  }
}
