import { fstatSync } from 'node:fs';
import { sendDatagram } from './datagram.ts';

/** Field names as in systemd.journal-fields(7), with their values; the journal adds those that start with `_`. */
export type JournalFields = { readonly [name: string]: string | Uint8Array };

const journalSocket = '/run/systemd/journal/socket';

/**
 * Bytes of one value; more is cut off. The kernel takes datagrams of 200 kB, longer ones would have to travel as a
 * sealed memory file, for which nothing that we say is a reason.
 */
const valueLimit = 32 * 1024;

/**
 * One entry in the journal's native protocol: `NAME=value` lines, or for a value with line feeds or bytes that are no
 * text the name, a line feed, the length as 64 bits little-endian, and the bytes. Throws TypeError for a name that the
 * journal would refuse.
 */
export function encodeJournalEntry(fields: JournalFields): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (!/^[A-Z][A-Z0-9_]{0,63}$/.test(name))
      throw new TypeError(`${JSON.stringify(name)} is no journal field`);
    const bytes = Buffer.from(value).subarray(0, valueLimit);
    if (typeof value === 'string' && !value.includes('\n')) {
      parts.push(Buffer.from(`${name}=`), bytes, Buffer.from('\n'));
      continue;
    }
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    parts.push(Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

/** Sends one entry to journald. Throws SystemCallError where none listens, or where it takes nothing for a second. */
export function sendToJournal(fields: JournalFields, socket = journalSocket): void {
  sendDatagram(socket, encodeJournalEntry(fields));
}

/** Whether the descriptor is the stream to the journal that $JOURNAL_STREAM (`device:inode`, systemd.exec(5)) names. */
export function isJournalStream(value: string | undefined, fd: number): boolean {
  if (value === undefined || !/^\d+:\d+$/.test(value)) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return value === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
