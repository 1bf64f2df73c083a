import { readFileSync } from 'node:fs';
import { check, libc } from './koffi.ts';

const getrlimit = libc<[number, Buffer], number>('int getrlimit(int, void *)');
const setrlimit = libc<[number, Buffer], number>('int setrlimit(int, void *)');

const RLIMIT_NOFILE = 7;

export interface DescriptorLimit {
  readonly soft: number;
  readonly hard: number;
}

/** Our limit of open descriptors (getrlimit(2) RLIMIT_NOFILE); Infinity where there is none. */
export function descriptorLimit(): DescriptorLimit {
  const limit = Buffer.alloc(16);
  check('getrlimit', getrlimit(RLIMIT_NOFILE, limit));
  return { soft: fromKernel(limit.readBigUInt64LE(0)), hard: fromKernel(limit.readBigUInt64LE(8)) };
}

/** Sets it. Throws SystemCallError (EPERM for a hard limit that goes up, EINVAL for soft above hard). */
export function setDescriptorLimit({ soft, hard }: DescriptorLimit): void {
  const limit = Buffer.alloc(16);
  limit.writeBigUInt64LE(toKernel(soft), 0);
  limit.writeBigUInt64LE(toKernel(hard), 8);
  check('setrlimit', setrlimit(RLIMIT_NOFILE, limit));
}

/**
 * The limit that this process was started with. Node raises the soft limit to the hard one before any script runs, and
 * children inherit that; a program that uses select(2), or closes all descriptors one by one, is hurt by it. What was
 * before is told by our parent, whose limits we inherited, unless it is a service manager, which sets limits for each
 * unit. Its default is 1024, and that is what is given wherever the parent does not tell.
 */
export function originalDescriptorLimit(): DescriptorLimit {
  const { hard } = descriptorLimit();
  const fallback = { soft: Math.min(1024, hard), hard };
  try {
    const parent = `/proc/${process.ppid}`;
    if (/^\(?systemd/.test(readFileSync(`${parent}/comm`, 'utf8'))) return fallback;
    const inherited = parseDescriptorLimit(readFileSync(`${parent}/limits`, 'utf8'));
    return inherited !== null && inherited.hard === hard ? inherited : fallback;
  } catch {
    // No /proc, another user's process that is hidden, or the parent is gone.
    return fallback;
  }
}

/** The line `Max open files` of /proc/PID/limits (proc(5)); null without one. */
export function parseDescriptorLimit(limits: string): DescriptorLimit | null {
  const match = /^Max open files +(\d+|unlimited) +(\d+|unlimited) /m.exec(limits);
  if (match === null) return null;
  const [soft, hard] = [match[1], match[2]].map((word) => (word === 'unlimited' ? Infinity : Number(word)));
  return soft === undefined || hard === undefined ? null : { soft, hard };
}

const RLIM_INFINITY = 2n ** 64n - 1n;

function fromKernel(value: bigint): number {
  return value === RLIM_INFINITY ? Infinity : Number(value);
}

function toKernel(value: number): bigint {
  return value === Infinity ? RLIM_INFINITY : BigInt(value);
}
