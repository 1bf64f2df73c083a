import { lineEnd } from '../../console/terminal-mode.ts';
import { printable } from '../../errors.ts';
import { writeErr } from '../../sys/stdio.ts';

/** A sentence for the user, on standard error and on a line of its own. */
export function say(text: string): void {
  const end = lineEnd();
  const shown = printable(text, { multiline: true });
  writeErr(`${end === '\r\n' ? end : ''}vmspawnctl: ${shown.replaceAll('\n', end)}${end}`);
}
