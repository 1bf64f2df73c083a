import type { Environment } from '../host/identity.ts';
import { booleanWord } from '../settings/quantities.ts';

/**
 * Whether text may be coloured or bold: $SYSTEMD_COLORS decides by itself (a boolean or a number of colours; its
 * `auto-` forms still ask for a terminal), then $NO_COLOR (no-color.org), then $TERM and whether it is a terminal.
 */
export function colourAllowed(environment: Environment, isTerminal: boolean): boolean {
  const wish = environment['SYSTEMD_COLORS'];
  if (wish !== undefined && wish !== '') {
    const word = booleanWord(wish);
    if (word !== undefined) return word;
    if (['16', '256', '24bit'].includes(wish)) return true;
  }
  if ((environment['NO_COLOR'] ?? '') !== '') return false;
  return isTerminal && (environment['TERM'] ?? 'dumb') !== 'dumb';
}

/** Columns of the screen: $COLUMNS, or 80. */
export function screenColumns(environment: Environment): number {
  const columns = environment['COLUMNS'] ?? '';
  return /^[0-9]{1,5}$/.test(columns) && Number(columns) > 0 ? Number(columns) : 80;
}

export function bold(text: string): string {
  return `\u001b[1m${text}\u001b[0m`;
}

/** Breaks text at spaces into lines of at most `width` columns; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line === '') line = word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  lines.push(line);
  return lines;
}

export interface TableStyle {
  /** Titles of the columns, or null for a table without. */
  readonly header: readonly string[] | null;
  /** Of the screen; the last column is cut to it, with three dots. */
  readonly columns: number;
  /** The header in bold. */
  readonly bold: boolean;
}

/**
 * Rows as text in aligned columns, each line ended by a line feed. Cells hold no control characters and no wide ones:
 * pass foreign text through `printable` first.
 */
export function renderTable(rows: readonly (readonly string[])[], style: TableStyle): string {
  const all = style.header === null ? rows : [style.header, ...rows];
  const widths: number[] = [];
  for (const row of all) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const lines = all.map((row) => {
    const cells = row.map((cell, column) =>
      column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
    );
    const before = cells.slice(0, -1).join(' ').length + (cells.length > 1 ? 1 : 0);
    const last = cells.pop() ?? '';
    const room = Math.max(style.columns - before, 8);
    cells.push(last.length > room ? `${last.slice(0, room - 3)}...` : last);
    return cells.join(' ').trimEnd();
  });
  if (style.bold && style.header !== null && lines[0] !== undefined) lines[0] = bold(lines[0]);
  return lines.map((line) => `${line}\n`).join('');
}
