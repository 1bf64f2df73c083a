import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';

/** A directory for the tests of one file, open to other users, removed at the end. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'vmspawn-test-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Writes a file and the directories above it; returns its path. */
export function write(path: string, content: string | Buffer = ''): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}
