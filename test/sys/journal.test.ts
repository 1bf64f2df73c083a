import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeJournalEntry, isJournalStream, sendToJournal } from '../../src/sys/journal.ts';
import { temporaryDirectory } from '../temporary.ts';
import { Datagrams, decodeJournalEntry } from './datagrams.ts';

const directory = temporaryDirectory();

const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,63}$/);
const value = fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array());

test('whatever the values are, every field comes out as it went in', () => {
  fc.assert(
    fc.property(fc.dictionary(name, value), (fields) => {
      const decoded = decodeJournalEntry(encodeJournalEntry(fields));
      assert.deepEqual(
        [...decoded].map(([key, bytes]) => [key, bytes.toString('hex')]),
        Object.entries(fields).map(([key, text]) => [key, Buffer.from(text).toString('hex')]),
      );
    }),
  );
});

test('a value cannot smuggle in a field; a name that journald refuses is refused', () => {
  const decoded = decodeJournalEntry(encodeJournalEntry({ MESSAGE: 'a\nPRIORITY=0', MACHINE: 'x=y' }));
  assert.deepEqual([...decoded.keys()], ['MESSAGE', 'MACHINE']);
  for (const bad of ['', '_PID', 'a', 'A=B', 'A\nB', '1A', 'A'.repeat(65), 'Ä']) {
    assert.throws(() => encodeJournalEntry({ [bad]: '' }), TypeError, bad);
  }
});

test('a value is cut off where a datagram would become too long', () => {
  using socket = new Datagrams(join(directory, 'long.sock'));
  sendToJournal({ MESSAGE: 'x'.repeat(1_000_000), QUOTE: 'é\n'.repeat(100_000) }, socket.address);
  const [entry, ...more] = socket.take();
  assert.ok(entry !== undefined && more.length === 0);
  const decoded = decodeJournalEntry(entry);
  assert.equal(decoded.get('MESSAGE')?.length, 32 * 1024);
  assert.equal(decoded.get('QUOTE')?.length, 32 * 1024);
});

test('nobody there is an error', () => {
  assert.throws(() => sendToJournal({ MESSAGE: 'x' }, join(directory, 'none.sock')), { code: 'ENOENT' });
});

test('the journal stream is told by device and inode', () => {
  const fd = openSync('/dev/null', 'r');
  const { dev, ino } = fstatSync(fd, { bigint: true });
  assert.ok(isJournalStream(`${dev}:${ino}`, fd));
  for (const other of [undefined, '', `${dev}:${ino + 1n}`, `${dev}`, `${dev}:${ino} `, 'a:b']) {
    assert.ok(!isJournalStream(other, fd), other);
  }
  closeSync(fd);
  assert.ok(!isJournalStream(`${dev}:${ino}`, fd), 'closed');
});
