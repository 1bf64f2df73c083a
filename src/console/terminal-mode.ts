import { closeSync } from 'node:fs';
import { duplicate } from '../sys/descriptors.ts';
import { inForeground } from '../sys/job-control.ts';
import { getStatusFlags, setStatusFlags } from '../sys/status-flags.ts';
import { isTerminal } from '../sys/stdio.ts';
import {
  discardInput,
  getTerminalModes,
  rawTerminalModes,
  setTerminalModes,
  type TerminalModes,
} from '../sys/termios.ts';

/**
 * A terminal whose modes somebody changed. Disposal puts every bit back, the file status flags too, and is without
 * effect the second time. What is not disposed of is put back when the process ends, see `enterRawMode`.
 */
export interface TerminalMode extends Disposable, AsyncDisposable {
  /** The terminal is in the mode that was asked for: false after disposal and for a background job. */
  readonly active: boolean;
}

export interface TerminalModeOptions {
  /** Called right before the modes are put back, on every way out: must be quick and synchronous. May throw. */
  readonly beforeRestore?: () => void;
  /**
   * Whether what the terminal sends now is for nobody: asked before `beforeRestore`, on every way out but disposal, which has
   * the time to read it. It would be typed into the user's shell. May throw.
   */
  readonly unwantedInput?: () => boolean;
  /** Called when the terminal is in its mode again after a stop (SIGTSTP and SIGCONT). May throw. */
  readonly afterResume?: () => void;
}

/** Modes to put back, the latest last. Process-wide, because the signals and 'exit' are. */
const held: { resume(): void; restore(way: 'abrupt' | 'disposal'): void }[] = [];

/** These end a process unless somebody handles them. SIGABRT cannot be handled from within, nor SIGKILL at all. */
const fatalSignals = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/**
 * Puts a terminal in raw mode, output processing off as well (cfmakeraw(3)). The modes come back on disposal, at
 * process.exit, on an uncaught exception, and on SIGHUP, SIGINT, SIGQUIT and SIGTERM: where nobody else listens to the
 * signal the process then dies of it as if nothing had happened, else it is the other listener's task to end. Ctrl-Z is
 * a byte like any other; a SIGTSTP from outside puts the modes back and stops, SIGCONT makes the terminal raw again.
 * Throws SystemCallError (ENOTTY, EBADF). A background job stops here until it is in the foreground (SIGTTOU).
 */
export function enterRawMode(fd: number, options: TerminalModeOptions = {}): TerminalMode {
  return hold(fd, rawTerminalModes, options);
}

/**
 * Only switches output processing off, so that what a guest writes arrives as it is while Ctrl-C, echo and line
 * editing stay as they are. Otherwise as enterRawMode, except that a background job leaves the terminal alone.
 */
export function enterRawOutputMode(fd: number, options: TerminalModeOptions = {}): TerminalMode {
  return hold(fd, rawOutputModes, options, { onlyInForeground: true });
}

/**
 * Changes nothing, but puts the modes and flags of the terminal back as `enterRawMode` does: for while QEMU has the
 * terminal, which leaves it raw and non-blocking when it is killed.
 */
export function keepTerminalMode(fd: number): TerminalMode {
  return hold(fd, null, {});
}

/** How a line of our own messages must end now: `\r\n` while a terminal does no output processing. */
export function lineEnd(): '\n' | '\r\n' {
  return held.length === 0 ? '\n' : '\r\n';
}

function hold(
  fd: number,
  change: ((modes: TerminalModes) => TerminalModes) | null,
  { beforeRestore, afterResume, unwantedInput }: TerminalModeOptions,
  { onlyInForeground = false } = {},
): TerminalMode {
  // A background job waits for the foreground before it looks: until then the modes are those of the shell's prompt.
  if (change !== null && !onlyInForeground && isTerminal(fd) && !inForeground(fd)) {
    process.kill(process.pid, 'SIGTTIN');
  }
  const modes = getTerminalModes(fd);
  const flags = getStatusFlags(fd);
  const terminal = duplicate(fd);
  let active = false;
  let disposed = false;
  const entry = {
    apply() {
      if (change === null || (onlyInForeground && !inForeground(terminal))) return;
      setTerminalModes(terminal, change(modes));
      active = true;
    },
    resume() {
      const before = active;
      entry.apply();
      if (active && !before) afterResume?.();
    },
    restore(way: 'abrupt' | 'disposal') {
      let unwanted = false;
      if (way === 'abrupt' && active) {
        attempt(() => {
          unwanted = unwantedInput?.() === true;
        });
      }
      if (!disposed && active) attempt(() => beforeRestore?.());
      attempt(() => setStatusFlags(terminal, flags));
      // In the background the terminal belongs to the shell again, which has set its own modes; and we would stop.
      if ((active || change === null) && inForeground(terminal)) {
        if (unwanted) attempt(() => discardInput(terminal));
        attempt(() => setTerminalModes(terminal, modes));
      }
      active = false;
    },
  };
  try {
    if (held.length === 0) listen();
    held.push(entry);
    entry.apply();
  } catch (error) {
    release();
    throw error;
  }

  function release(): void {
    held.splice(held.indexOf(entry), 1);
    if (held.length === 0) unlisten();
    closeSync(terminal);
  }

  const mode: TerminalMode = {
    get active() {
      return active;
    },
    [Symbol.dispose]() {
      if (disposed) return;
      entry.restore('disposal');
      disposed = true;
      release();
    },
    async [Symbol.asyncDispose]() {
      mode[Symbol.dispose]();
    },
  };
  return mode;
}

/** struct termios begins with c_iflag, c_oflag, c_cflag and c_lflag, 4 bytes each, on every Linux. */
function rawOutputModes(modes: TerminalModes): TerminalModes {
  const result = Buffer.from(modes) as TerminalModes;
  rawTerminalModes(modes).copy(result, 4, 4, 8);
  return result;
}

/** On the way out nothing must keep us from the next step: a terminal that is gone answers EIO. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {}
}

function restoreAll(): void {
  for (const entry of held.toReversed()) entry.restore('abrupt');
}

function onFatalSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  restoreAll();
  process.removeListener(signal, onFatalSignal);
  process.kill(process.pid, signal);
}

/** Until the SIGCONT that ends a stop has come: what was sent to stop us before that has done so already. */
let stopping = false;

function onStop(): void {
  if (stopping) return;
  stopping = true;
  restoreAll();
  process.kill(process.pid, 'SIGSTOP');
}

function onContinue(): void {
  stopping = false;
  for (const entry of held) attempt(() => entry.resume());
}

function listen(): void {
  // Comes before the message of an uncaught exception is printed, which else becomes a staircase.
  process.on('exit', restoreAll);
  for (const signal of fatalSignals) process.on(signal, onFatalSignal);
  process.on('SIGTSTP', onStop);
  process.on('SIGCONT', onContinue);
}

function unlisten(): void {
  process.removeListener('exit', restoreAll);
  for (const signal of fatalSignals) process.removeListener(signal, onFatalSignal);
  process.removeListener('SIGTSTP', onStop);
  process.removeListener('SIGCONT', onContinue);
}
