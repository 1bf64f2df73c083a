import { type Duplex, pipeline } from 'node:stream';
import { type ForwardEnd, forwardConsole } from '../../console/forward.ts';
import type { Environment } from '../../host/identity.ts';
import { consoleLog } from '../../session/console.ts';
import { findMachine } from '../../session/machines.ts';
import { isTerminal } from '../../sys/stdio.ts';
import { colourAllowed } from '../output.ts';
import { LogText } from './log-text.ts';
import type { CtlSettings } from './options.ts';
import { say } from './say.ts';

/** `vmspawnctl console-log`: the exit status. Throws UsageError, MachineError, FileError, SystemCallError. */
export async function showConsoleLog(
  name: string | null,
  { whose, follow, quiet }: CtlSettings,
  environment: Environment,
): Promise<number> {
  const waiting = (machine: string): void => {
    if (!quiet) say(`Machine ${machine} is still being started.`);
  };
  const machine = await findMachine(name, whose, environment, waiting);
  await using log = await consoleLog(machine, { follow, waiting: () => waiting(machine.name) });
  let left: (end: ForwardEnd) => void = () => {};
  const ended = new Promise<ForwardEnd>((resolve) => {
    left = resolve;
  });
  await using _forward = forwardConsole({
    console: isTerminal(1) ? readable(log, environment) : log,
    input: null,
    output: 1,
    mode: 'read-only',
    drainTimeout: 100,
    onEnd: (end) => left(end),
  });
  const end = await ended;
  if (end.reason !== 'failed') return 0;
  say(`The log cannot be written: ${end.error.message}.`);
  return 1;
}

function readable(log: Duplex, environment: Environment): Duplex {
  return pipeline(log, new LogText({ colour: colourAllowed(environment, true) }), () => {
    // Its end is the end of what is shown.
  });
}
