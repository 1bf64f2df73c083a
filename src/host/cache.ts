import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Facts that cost time to find out, kept between runs. What comes out is foreign data: parse it again. */
export interface FactCache {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
}

/** More entries than a host has binaries worth probing; beyond it the oldest go. */
const entryLimit = 64;

/**
 * A cache in one JSON file in `directory`, which is gone after a reboot and which only we can write: the caller has seen to
 * that. Read at the first get, written by `save`; whatever goes wrong with the file means an empty cache, never a failure.
 */
export class FileFactCache implements FactCache {
  readonly #directory: string;
  readonly #file: string;
  #entries: Map<string, unknown> | undefined;
  #changed = false;

  constructor(directory: string) {
    this.#directory = directory;
    this.#file = join(directory, 'facts.json');
  }

  get(key: string): unknown {
    return this.#load().get(key);
  }

  set(key: string, value: unknown): void {
    const entries = this.#load();
    entries.delete(key);
    entries.set(key, value);
    for (const oldest of entries.keys()) {
      if (entries.size <= entryLimit) break;
      entries.delete(oldest);
    }
    this.#changed = true;
  }

  /** Writes what is new, atomically. */
  save(): void {
    if (!this.#changed) return;
    this.#changed = false;
    const temporary = `${this.#file}.${process.pid}`;
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      rmSync(temporary, { force: true });
      // wx: made by us, no link that lies there.
      writeFileSync(temporary, JSON.stringify([...this.#load()]), { mode: 0o600, flag: 'wx' });
      renameSync(temporary, this.#file);
    } catch {
      // A cache that cannot be written (full or read-only file system) costs time, nothing else.
    }
  }

  #load(): Map<string, unknown> {
    if (this.#entries === undefined) {
      this.#entries = new Map();
      try {
        const stored: unknown = JSON.parse(readFileSync(this.#file, 'utf8'));
        if (Array.isArray(stored)) {
          for (const entry of stored) {
            if (Array.isArray(entry) && typeof entry[0] === 'string') this.#entries.set(entry[0], entry[1]);
          }
        }
      } catch {
        // No cache yet, or one that is not ours to read.
      }
    }
    return this.#entries;
  }
}
