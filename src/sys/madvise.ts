import { readFileSync } from 'node:fs';
import { libc } from './koffi.ts';

const madvise = libc<[bigint, bigint, number], number>('int madvise(uintptr_t, size_t, int)');

const MADV_DONTNEED = 4;

export interface MemoryRange {
  readonly start: bigint;
  readonly length: bigint;
}

/**
 * Gives the pages of mapped files back (madvise(2) MADV_DONTNEED); they come from the page cache again when touched.
 * Most of an idle Node is the mapped Node binary: 40 MB become 15. For use at rest: it costs about 7 ms, and the next
 * request half a millisecond. Gives the number of bytes of the maps; 0 where /proc cannot be read. Never throws.
 */
export function trimMemory(): number {
  let smaps: string;
  try {
    smaps = readFileSync('/proc/self/smaps', 'utf8');
  } catch {
    return 0;
  }
  let trimmed = 0;
  for (const { start, length } of droppableRanges(smaps)) {
    if (madvise(start, length, MADV_DONTNEED) === 0) trimmed += Number(length);
  }
  return trimmed;
}

/**
 * The maps of a smaps file (proc(5)) whose pages are all copies of a file: private, not writable, not locked, and
 * without a single page that was written to, be it in memory or in swap. DONTNEED on such a page would lose data.
 */
export function droppableRanges(smaps: string): MemoryRange[] {
  const ranges: MemoryRange[] = [];
  for (const block of smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ \S+ ([1-9]\d*) +\//.exec(block);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const clean = ['Private_Dirty', 'Anonymous', 'Swap', 'Locked'].every((field) =>
      new RegExp(`^${field}: +0 kB$`, 'm').test(block),
    );
    if (!clean) continue;
    const start = BigInt(`0x${match[1]}`);
    ranges.push({ start, length: BigInt(`0x${match[2]}`) - start });
  }
  return ranges;
}
