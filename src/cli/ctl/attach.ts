import { constants } from 'node:os';
import type { ContextExit } from '../../console/context.ts';
import { type ForwardEnd, forwardConsole } from '../../console/forward.ts';
import type { HotkeyAction } from '../../console/input.ts';
import type { Look } from '../../console/look.ts';
import type { Environment } from '../../host/identity.ts';
import type { AttachedConsole } from '../../session/attached-console.ts';
import { attachConsole, controlMachine } from '../../session/console.ts';
import { type FoundMachine, findMachine } from '../../session/machines.ts';
import { isTerminal, terminalSize } from '../../sys/stdio.ts';
import type { Front } from '../front.ts';
import { consoleLook } from '../look.ts';
import { describeFailure } from '../messages.ts';
import type { CtlSettings } from './options.ts';
import { say } from './say.ts';

/** Bytes of what the console showed before that come first: so few that the line about the keys stays in sight. */
const history = 1024;
/** Milliseconds for what the guest has written when one leaves before its end. */
const drainTimeout = 100;

/** Why one is not attached any more. */
type Leave =
  | Exclude<ForwardEnd, { reason: 'hotkey' }>
  | { readonly reason: 'detached' | 'stolen' }
  | { readonly reason: 'signal'; readonly signal: NodeJS.Signals };

/** These leave the console as a key does, so that the terminal is put in order with all that takes. */
const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * `vmspawnctl attach`: the exit status. `front` puts the terminal in order should we be killed. Throws UsageError,
 * MachineError, FileError, SystemCallError.
 */
export async function attach(
  name: string | null,
  settings: CtlSettings,
  environment: Environment,
  front: Front | null,
): Promise<number> {
  const { readOnly, steal, quiet, whose } = settings;
  const notice = (text: string): void => {
    if (!quiet) say(text);
  };
  const waiting = (machine: string): void => notice(`Machine ${machine} is still being started.`);
  const machine = await findMachine(name, whose, environment, waiting);
  await using console = await attachConsole(machine, {
    write: readOnly ? 'no' : steal ? 'steal' : 'ask',
    history,
    size: terminalSize(1),
    waiting: () => waiting(machine.name),
  });
  if (isTerminal(1)) {
    const keys =
      'Ctrl-] Ctrl-] d leaves it, r reboots it, p powers it off; Ctrl-] three times within 1s ends it';
    notice(`Attached to machine ${machine.name}. ${readOnly ? 'Ctrl-C leaves it' : keys}.`);
  }
  let exit: ContextExit | null = null;
  void console.ended.then((end) => {
    exit = end;
  });
  const look = consoleLook(settings, machine.name, environment, () => exit);
  const leave = await forwarded(console, machine, readOnly, look, front);
  return await farewell(leave, console, machine, notice);
}

/** Until there is a reason to leave. */
async function forwarded(
  console: AttachedConsole,
  machine: FoundMachine,
  readOnly: boolean,
  look: Look,
  front: Front | null,
): Promise<Leave> {
  let leave: (why: Leave) => void = () => {};
  const left = new Promise<Leave>((resolve) => {
    leave = resolve;
  });
  const act = (action: HotkeyAction): void => {
    if (action === 'detach') {
      leave({ reason: 'detached' });
      return;
    }
    const method = { end: 'Terminate', reboot: 'Reboot', 'power-off': 'PowerOff' } as const;
    controlMachine(machine, method[action]).catch((error: unknown) => say(describeFailure(error)));
  };
  console.once('stolen', () => leave({ reason: 'stolen' }));
  const onSignal = (signal: NodeJS.Signals): void => leave({ reason: 'signal', signal });
  for (const signal of endSignals) process.on(signal, onSignal);
  front?.listen({ onSignal, onGone: () => onSignal('SIGHUP') });
  await using _forward = forwardConsole({
    console,
    history: console.history,
    onSize: (size) => console.setSize(size),
    look,
    input: readOnly ? null : 0,
    output: 1,
    mode: readOnly ? 'read-only' : 'interactive',
    drainTimeout,
    onUndo: (undo) => front?.prepareForDeath(undo),
    onEnd: (end) => {
      if (end.reason === 'hotkey') act(end.action);
      else leave(end);
    },
  });
  return await left;
}

/** The last word, when the terminal is the user's again; the exit status. */
async function farewell(
  leave: Leave,
  console: AttachedConsole,
  { name }: FoundMachine,
  notice: (text: string) => void,
): Promise<number> {
  switch (leave.reason) {
    case 'stolen':
      say(`Somebody else has taken over the console of machine ${name}.`);
      return 1;
    case 'failed':
      say(`The console is lost: ${leave.error.message}.`);
      return 1;
    case 'detached':
      notice(`Detached from machine ${name}.`);
      return 0;
    case 'console-closed': {
      const end = await console.ended;
      if (end?.status === 0) {
        if (isTerminal(1)) notice(`Machine ${name} has ended.`);
        return 0;
      }
      if (end === null) say(`The connection to machine ${name} is lost; its vmspawn is gone.`);
      else say(end.text === '' ? `Machine ${name} has ended with status ${end.status}.` : end.text);
      return 1;
    }
    case 'signal':
      return 128 + constants.signals[leave.signal];
    default:
      // Nobody is there any more to be told.
      return 0;
  }
}
