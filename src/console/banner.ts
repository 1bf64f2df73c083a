import { printable } from '../errors.ts';
import type { ConsoleMode } from '../settings/settings.ts';

export interface BannerFacts {
  readonly machine: string;
  /** Path of the image or kernel that boots; null when there is none to name. */
  readonly source: string | null;
  readonly mode: ConsoleMode;
  readonly quiet: boolean;
  readonly colour: boolean;
  /** What is typed comes from a terminal: only there the keys are keys. */
  readonly keys: boolean;
  /** The terminal can be left with the machine running. */
  readonly detachable: boolean;
}

/**
 * What is shown before the terminal goes to the guest: what starts, and how to get out again. Empty with --quiet, and
 * for gui, which leaves the terminal alone. Lines end in `\n`: print it before the terminal is raw.
 */
export function startBanner({ machine, source, mode, quiet, colour, keys, detachable }: BannerFacts): string {
  if (quiet || mode === 'gui') return '';
  const lines = [`Starting machine ${machine}${source === null ? '' : ` from ${source}`}.`];
  if (mode === 'interactive' && keys) {
    const leave = detachable ? ', d leaves it running' : '';
    lines.push('Press Ctrl-] three times within 1s to end the machine.');
    lines.push(`Ctrl-] Ctrl-], then r reboots it, p powers it off${leave}.`);
  }
  if (mode === 'native') lines.push('Press Ctrl-a x to end QEMU, Ctrl-a c for its monitor.');
  return lines.map((line) => dim(printable(line), colour)).join('');
}

function dim(line: string, colour: boolean): string {
  return colour ? `\x1b[2m${line}\x1b[0m\n` : `${line}\n`;
}
