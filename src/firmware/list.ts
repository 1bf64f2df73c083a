import { printable } from '../errors.ts';
import type { FirmwareDescriptor } from './descriptor.ts';

/** A line of `--firmware=list`. */
export interface FirmwareRow {
  readonly path: string;
  /** The interface that comes first in the descriptor, its native one. */
  readonly interface: string;
  readonly secureBoot: boolean;
  readonly description: string;
  /** `--firmware=auto` takes this one. */
  readonly auto: boolean;
}

/** Rows for the descriptors in the order given; `chosen` is what selectFirmware found for an automatic choice. */
export function firmwareRows(
  descriptors: readonly FirmwareDescriptor[],
  chosen: FirmwareDescriptor | null,
): readonly FirmwareRow[] {
  return descriptors.map((descriptor) => ({
    path: descriptor.path,
    interface: descriptor.interfaceTypes[0] ?? '-',
    secureBoot: descriptor.features.includes('secure-boot'),
    description: descriptor.description,
    auto: chosen !== null && descriptor.path === chosen.path,
  }));
}

/** The text of `--firmware=list`: a table for people, a path a line for programs, or JSON. Ends with a line feed. */
export function renderFirmwareList(rows: readonly FirmwareRow[], form: 'table' | 'paths' | 'json'): string {
  if (form === 'json') return `${JSON.stringify(rows, null, 2)}\n`;
  if (form === 'paths') return rows.map(({ path }) => `${printable(path)}\n`).join('');
  const cells = [
    ['PATH', 'INTERFACE', 'SECURE BOOT', 'AUTO', 'DESCRIPTION'],
    ...rows.map((row) => [
      printable(row.path),
      printable(row.interface),
      row.secureBoot ? 'yes' : 'no',
      row.auto ? 'yes' : '-',
      printable(row.description),
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) => `${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' ')}\n`)
    .join('');
}
