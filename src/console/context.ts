import { printable } from '../errors.ts';
import { booleanWord } from '../settings/quantities.ts';

export interface ContextFacts {
  /** Names this context among all that the terminal sees: 32 hexadecimal digits, random. */
  readonly id: string;
  readonly machine: string;
  readonly user: string | null;
  readonly hostname: string | null;
  /** machine-id(5) of the host, and the ID of its boot. */
  readonly machineId: string | null;
  readonly bootId: string | null;
  readonly pid: number;
  /** Inode of the process's pidfd, where the kernel has it. */
  readonly pidfdId: string | null;
  readonly command: string;
}

/** Characters of a value, unescaped (UAPI.15 has it so). */
const VALUE_LIMIT = 255;

/**
 * Tells the terminal that what follows comes from a virtual machine: OSC 3008, hierarchical context signalling
 * (UAPI.15, https://uapi-group.org/specifications/specs/osc_context/).
 */
export function contextStart(facts: ContextFacts): string {
  const fields: readonly (readonly [name: string, value: string | null])[] = [
    ['user', facts.user],
    ['hostname', facts.hostname],
    ['machineid', facts.machineId],
    ['bootid', facts.bootId],
    ['pid', String(facts.pid)],
    ['pidfdid', facts.pidfdId],
    ['comm', facts.command],
    ['vm', facts.machine],
    ['type', 'vm'],
  ];
  const text = fields.map(([name, value]) => (value === null ? '' : `;${name}=${escaped(value)}`)).join('');
  return `\x1b]3008;start=${escaped(facts.id)}${text}\x1b\\`;
}

/** How a machine has ended: its exit status, or the signal that its QEMU died of. */
export type ContextExit = { readonly status: number } | { readonly signal: NodeJS.Signals };

/** Those of them that speak of a defect (signal(7): action Core); all else comes from outside. */
const defects: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>([
  ...(['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGQUIT', 'SIGSEGV', 'SIGSYS', 'SIGTRAP'] as const),
  ...(['SIGXCPU', 'SIGXFSZ'] as const),
]);

/** Tells the terminal that what follows is not the machine's any more; how that has ended, or null while it goes on. */
export function contextEnd(id: string, exit: ContextExit | null): string {
  return `\x1b]3008;end=${escaped(id)}${exit === null ? '' : exitFields(exit)}\x1b\\`;
}

function exitFields(exit: ContextExit): string {
  if ('signal' in exit)
    return `;exit=${defects.has(exit.signal) ? 'crash' : 'interrupt'};signal=${exit.signal}`;
  return `;exit=${exit.status === 0 ? 'success' : 'failure'};status=${exit.status}`;
}

/** Keeps the window's title and gives it that of the machine; the host's name where it is known. */
export function titleStart(machine: string, hostname: string | null): string {
  const title = `Virtual machine ${machine}${hostname === null ? '' : ` on ${hostname}`}`;
  return `\x1b[22;0t\x1b]0;${printable(title)}\x1b\\`;
}

/** Puts back the title that titleStart kept. */
export const titleEnd = '\x1b[23;0t';

export interface StyleFacts {
  /** The guest's console goes to a terminal. */
  readonly isTerminal: boolean;
  /** False where all goes by as it is (--console=native) or nothing does. */
  readonly forwarded: boolean;
  /** --background=: `auto` when it was not given, `none` when it was empty. */
  readonly background: 'auto' | 'none' | 'given';
}

/** What to do to the terminal beside forwarding. */
export interface TerminalStyle {
  readonly tint: boolean;
  /** The terminal has to be asked for its background first. */
  readonly ask: boolean;
  readonly title: boolean;
  readonly context: boolean;
}

/**
 * Nothing on what is no terminal, or a dumb one ($TERM is dumb, unknown or missing). $SYSTEMD_TINT_BACKGROUND and
 * $SYSTEMD_ADJUST_TERMINAL_TITLE switch their part off; without colours ($SYSTEMD_COLORS, then $NO_COLOR) there is no
 * tint but one that was given.
 */
export function terminalStyle(
  environment: Readonly<Record<string, string | undefined>>,
  { isTerminal, forwarded, background }: StyleFacts,
): TerminalStyle {
  if (!isTerminal || !forwarded || isDumb(environment)) {
    return { tint: false, ask: false, title: false, context: false };
  }
  const wanted = (name: string) => booleanWord(environment[name] ?? '') !== false;
  const ask = background === 'auto' && wanted('SYSTEMD_TINT_BACKGROUND') && coloured(environment);
  return {
    tint: ask || background === 'given',
    ask,
    title: wanted('SYSTEMD_ADJUST_TERMINAL_TITLE'),
    context: true,
  };
}

/** $TERM is dumb, unknown or missing. */
export function isDumb(environment: Readonly<Record<string, string | undefined>>): boolean {
  return ['', 'dumb', 'unknown'].includes(environment['TERM'] ?? '');
}

function coloured(environment: Readonly<Record<string, string | undefined>>): boolean {
  const wish = environment['SYSTEMD_COLORS'] ?? '';
  const word = booleanWord(wish);
  if (word !== undefined) return word;
  if (['16', '256', '24bit'].includes(wish)) return true;
  return (environment['NO_COLOR'] ?? '') === '';
}

/** Only visible ASCII, and what means something in the sequence, and all else, as `\xNN`. */
function escaped(value: string): string {
  return Buffer.from([...value].slice(0, VALUE_LIMIT).join(''))
    .toString('latin1')
    .replace(/[^ -~]|[;\\]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
