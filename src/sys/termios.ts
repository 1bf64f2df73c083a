import { check, libc } from './koffi.ts';

const tcgetattr = libc<[number, Buffer], number>('int tcgetattr(int, void *)');
const tcsetattr = libc<[number, number, Buffer], number>('int tcsetattr(int, int, void *)');
const tcflush = libc<[number, number], number>('int tcflush(int, int)');
const cfmakeraw = libc<[Buffer], void>('void cfmakeraw(void *)');

/** The modes of a terminal, struct termios as libc has it; nobody looks inside. */
export type TerminalModes = Buffer & { readonly terminalModes: unique symbol };

const TCIFLUSH = 0;

/** `now`; `drain`: after all output is out; `flush`: that, and unread input is thrown away. */
const whens = { now: 0, drain: 1, flush: 2 } as const;

/** The modes of the terminal. Throws SystemCallError (ENOTTY). */
export function getTerminalModes(fd: number): TerminalModes {
  const modes = Buffer.alloc(64);
  check('tcgetattr', tcgetattr(fd, modes));
  return modes as TerminalModes;
}

/**
 * A copy in raw mode (cfmakeraw(3)): no echo, no signals, no line, and no output processing either. Node's
 * setRawMode leaves that on, so that the `\r\n` of a guest becomes `\r\r\n`.
 */
export function rawTerminalModes(modes: TerminalModes): TerminalModes {
  const raw = Buffer.from(modes);
  cfmakeraw(raw);
  return raw as TerminalModes;
}

/**
 * Sets modes that getTerminalModes gave. Throws SystemCallError. A process in the background gets SIGTTOU and stops
 * here, unless it ignores that signal.
 */
export function setTerminalModes(fd: number, modes: TerminalModes, when: keyof typeof whens = 'now'): void {
  check('tcsetattr', tcsetattr(fd, whens[when], modes));
}

/** Throws away what has come from the terminal and nobody has read; waits for nothing. Throws SystemCallError, otherwise as setTerminalModes. */
export function discardInput(fd: number): void {
  check('tcflush', tcflush(fd, TCIFLUSH));
}
