import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import type { FactCache } from './cache.ts';
import type { SwtpmFacts, Usable } from './facts.ts';
import { findProgram } from './find.ts';

/** A version query that takes longer hangs. */
const queryTimeout = 5_000;

/**
 * swtpm and swtpm_setup in $PATH. The version is asked once and kept by the binary's path, size and mtime.
 */
export async function probeSwtpm(path: string, cache: FactCache): Promise<Usable<SwtpmFacts>> {
  const binary = findProgram(['swtpm'], { path });
  if (binary === null) return { usable: false, reason: 'swtpm is not installed (Debian package swtpm)' };
  const { size, mtimeMs, ino } = statSync(binary);
  const key = `swtpm:${binary}:${ino}:${size}:${mtimeMs}`;
  let version = parseVersion(cache.get(key));
  if (version === null) {
    const output = await firstWords(binary);
    version = parseVersion(output);
    if (version === null) {
      return { usable: false, reason: `${binary} --version answered ${JSON.stringify(output.slice(0, 80))}` };
    }
    cache.set(key, version.join('.'));
  }
  return { usable: true, binary, setup: findProgram(['swtpm_setup'], { path }), version };
}

/** `TPM emulator version 0.7.1, Copyright …` or `0.7.1`. */
function parseVersion(text: unknown): SwtpmFacts['version'] | null {
  const match = typeof text === 'string' ? /(?:^|version )(\d+)\.(\d+)\.(\d+)/.exec(text) : null;
  return match === null ? null : [Number(match[1]), Number(match[2]), Number(match[3])];
}

function firstWords(binary: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      binary,
      ['--version'],
      { timeout: queryTimeout, maxBuffer: 64 * 1024 },
      (error, stdout, stderr) => resolve(stdout || stderr || (error?.message ?? '')),
    );
  });
}
