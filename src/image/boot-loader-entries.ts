import { compareVersions } from './version-order.ts';

/** An entry of the Boot Loader Specification (UAPI.1). Paths are relative to the partition that it lies on. */
export interface BootEntry {
  /** File name without a counter of tries and without its suffix. */
  readonly id: string;
  readonly file: string;
  /** 2: a unified kernel image, 1: a `.conf` file. */
  readonly type: 1 | 2;
  readonly kernel: string;
  readonly initrds: readonly string[];
  readonly options: readonly string[];
  readonly sortKey: string | null;
  readonly machineId: string | null;
  readonly version: string | null;
  /** No tries are left (automatic boot assessment). */
  readonly bad: boolean;
}

/** Names of architectures in entries, by QEMU's. */
const architectures: { readonly [name: string]: string } = {
  x86_64: 'x64',
  aarch64: 'aa64',
  riscv64: 'riscv64',
  loongarch64: 'loongarch64',
};

/** `name+LEFT-DONE`: how often an entry may still be tried. */
function splitCounter(stem: string): { id: string; bad: boolean } {
  const match = /^(.+)\+(\d+)(?:-\d+)?$/.exec(stem);
  return match?.[1] === undefined ? { id: stem, bad: false } : { id: match[1], bad: Number(match[2]) === 0 };
}

/**
 * Reads a `.conf` file (Type #1): keys and values, one a line. null for an entry that starts no kernel, or one of another
 * `architecture` (as QEMU spells it). Pure; takes whatever a file holds.
 */
export function parseEntry(file: string, text: string, architecture: string): BootEntry | null {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, key = '', value = ''] = /^\s*([^\s#]+)\s+(.*?)\s*$/.exec(line) ?? [];
    if (key === '' || value === '') continue;
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  const last = (key: string): string | null => values.get(key)?.at(-1) ?? null;
  const kernel = last('linux') ?? last('uki') ?? last('efi');
  const wanted = last('architecture');
  if (kernel === null) return null;
  if (wanted !== null && wanted.toLowerCase() !== architectures[architecture]) return null;
  return {
    ...splitCounter(file.replace(/\.conf$/i, '')),
    file,
    type: 1,
    kernel,
    initrds: values.get('initrd') ?? [],
    options: (values.get('options') ?? [])
      .join(' ')
      .split(/\s+/)
      .filter((word) => word !== ''),
    sortKey: last('sort-key'),
    machineId: last('machine-id'),
    version: last('version'),
  };
}

/** A unified kernel image in EFI/Linux (Type #2), known by its name alone. */
export function unifiedEntry(file: string): BootEntry {
  return {
    ...splitCounter(file.replace(/\.efi$/i, '')),
    file,
    type: 2,
    kernel: `/EFI/Linux/${file}`,
    initrds: [],
    options: [],
    sortKey: null,
    machineId: null,
    version: null,
  };
}

/** The pattern of `default` in loader.conf, or null; words like `@saved` name what only firmware keeps. */
export function parseDefault(text: string): string | null {
  const values = [...text.matchAll(/^\s*default\s+(\S+)\s*$/gm)].map((match) => match[1] ?? '');
  const last = values.at(-1) ?? null;
  return last === null || last.startsWith('@') ? null : last;
}

/** The order in which a boot loader offers entries, the first one first (UAPI.1, Sorting). */
export function compareEntries(a: BootEntry, b: BootEntry): number {
  if (a.bad !== b.bad) return a.bad ? 1 : -1;
  if ((a.sortKey === null) !== (b.sortKey === null)) return a.sortKey === null ? 1 : -1;
  if (a.sortKey !== null && b.sortKey !== null) {
    const order =
      compareText(a.sortKey, b.sortKey) ||
      compareText(a.machineId ?? '', b.machineId ?? '') ||
      -compareVersions(a.version ?? '', b.version ?? '');
    if (order !== 0) return order;
  }
  return -compareVersions(a.id, b.id);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
