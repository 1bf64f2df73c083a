import { closeSync, rmSync } from 'node:fs';
import { check, libc } from '../../src/sys/koffi.ts';
import { unixAddress } from '../../src/sys/unix-address.ts';

const socket = libc<[number, number, number], number>('int socket(int, int, int)');
const bind = libc<[number, Buffer, number], number>('int bind(int, void *, unsigned int)');
const recv = libc<[number, Buffer, number, number], number>('long recv(int, void *, size_t, int)');

const MSG_DONTWAIT = 0x40;

/** Stands for a service manager or a journal: a socket that takes datagrams, at a path or an abstract `@name`. */
export class Datagrams implements Disposable {
  readonly address: string;
  readonly #fd: number;

  constructor(address: string) {
    this.address = address;
    this.#fd = check('socket', socket(1, 2 | 0o2000000, 0));
    const target = unixAddress(address);
    check('bind', bind(this.#fd, target, target.length));
  }

  /** What has come since the last call. */
  take(): Buffer[] {
    const taken: Buffer[] = [];
    const buffer = Buffer.alloc(300_000);
    for (;;) {
      const length = recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT);
      if (length === -1) return taken;
      taken.push(Buffer.from(buffer.subarray(0, length)));
    }
  }

  /** The same as text. */
  texts(): string[] {
    return this.take().map(String);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    if (!this.address.startsWith('@')) rmSync(this.address);
  }
}

/** An entry of the journal's native protocol as fields; throws for what journald would throw away. */
export function decodeJournalEntry(entry: Buffer): Map<string, Buffer> {
  const fields = new Map<string, Buffer>();
  for (let rest = entry; rest.length > 0; ) {
    const line = rest.indexOf('\n');
    const equals = rest.subarray(0, line).indexOf('=');
    if (line === -1) throw new Error('no line feed at the end');
    if (equals !== -1) {
      fields.set(rest.toString('utf8', 0, equals), rest.subarray(equals + 1, line));
      rest = rest.subarray(line + 1);
      continue;
    }
    const start = line + 9;
    const end = start + Number(rest.readBigUInt64LE(line + 1));
    if (rest[end] !== 10) throw new Error('no line feed behind a value');
    fields.set(rest.toString('utf8', 0, line), rest.subarray(start, end));
    rest = rest.subarray(end + 1);
  }
  return fields;
}
