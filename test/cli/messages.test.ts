import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { execaSync } from 'execa';
import { asset } from '../../src/assets.ts';
import { lifecycle } from '../../src/cli/lifecycle.ts';
import { Messages } from '../../src/cli/messages.ts';
import { ImageError } from '../../src/errors.ts';
import { Datagrams, decodeJournalEntry } from '../sys/datagrams.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();

/** Words that make our own standard error the journal. */
function journalStream(): { JOURNAL_STREAM: string } {
  const { dev, ino } = fstatSync(2, { bigint: true });
  return { JOURNAL_STREAM: `${dev}:${ino}` };
}

function entries(journal: Datagrams): Record<string, string>[] {
  return journal
    .take()
    .map((entry) =>
      Object.fromEntries([...decodeJournalEntry(entry)].map(([name, value]) => [name, String(value)])),
    );
}

suite('in the journal', () => {
  test('every message has its priority and machine, events their ID, also with --quiet', () => {
    using journal = new Datagrams(join(directory, 'journal.sock'));
    const messages = new Messages({
      environment: journalStream(),
      quiet: true,
      machine: null,
      socket: journal.address,
    });
    messages.notice({ level: 'warning', text: 'A\nwarning.' });
    messages.started('web', 42);
    messages.notice({ level: 'notice', text: 'Idle talk.' });
    messages.notice({ level: 'notice', text: 'SIGTERM received.', event: 'shutdown' });
    messages.notice({ level: 'warning', text: 'Gone.', event: 'auxiliary-died' });
    messages.notice({ level: 'warning', text: 'Panic.', event: 'guest-panicked' });
    messages.stopped(0);
    messages.failed(new ImageError('Image /x does not exist', { hint: 'Look\nelsewhere.' }), 1);
    const common = { SYSLOG_IDENTIFIER: 'vmspawn', MACHINE: 'web' };
    assert.deepEqual(entries(journal), [
      { MESSAGE: 'A\\x0awarning.', PRIORITY: '4', SYSLOG_IDENTIFIER: 'vmspawn' },
      {
        MESSAGE: 'Machine web has started.',
        PRIORITY: '6',
        ...common,
        MESSAGE_ID: lifecycle.started.id,
        VMSPAWN_LEADER_PID: '42',
      },
      { MESSAGE: 'SIGTERM received.', PRIORITY: '6', ...common, MESSAGE_ID: lifecycle.shutdown.id },
      { MESSAGE: 'Gone.', PRIORITY: '4', ...common, MESSAGE_ID: lifecycle['auxiliary-died'].id },
      { MESSAGE: 'Panic.', PRIORITY: '4', ...common, MESSAGE_ID: lifecycle['guest-panicked'].id },
      {
        MESSAGE: 'Machine web has ended.',
        PRIORITY: '6',
        ...common,
        MESSAGE_ID: lifecycle.stopped.id,
        EXIT_STATUS: '0',
      },
      {
        MESSAGE: 'Image /x does not exist. Look\\x0aelsewhere.',
        PRIORITY: '3',
        ...common,
        MESSAGE_ID: lifecycle.failed.id,
        EXIT_STATUS: '1',
      },
    ]);
  });

  test('IDs are 128 bits each and unlike one another', () => {
    const ids = Object.values(lifecycle).map(({ id }) => id);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
    assert.equal(new Set(ids).size, ids.length);
  });
});

suite('on standard error', () => {
  const program = asset('bin', 'vmspawn');
  const words = ['--image=/nonexistent.raw'];

  test('where it is not the stream of $JOURNAL_STREAM, or there is no journal', () => {
    for (const JOURNAL_STREAM of ['1:2', 'nonsense']) {
      const { stderr, exitCode } = execaSync(program, words, { env: { JOURNAL_STREAM }, reject: false });
      assert.match(stderr, /^vmspawn: Image \/nonexistent\.raw does not exist\. /);
      assert.equal(exitCode, 1);
    }
    const env = `JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2)`;
    const { stderr } = execaSync('bash', ['-c', `export ${env}; exec "$@"`, 'bash', program, ...words], {
      reject: false,
    });
    assert.match(stderr, /^vmspawn: Image \/nonexistent\.raw does not exist\. /, 'journald is not there');
  });
});

test('after the terminal was left everything goes to the journal, and nothing anywhere else', () => {
  using journal = new Datagrams(join(directory, 'left.sock'));
  const messages = new Messages({
    environment: {},
    quiet: false,
    machine: 'web',
    socket: journal.address,
  });
  messages.leaveTerminal();
  messages.notice({ level: 'notice', text: 'A notice.' });
  messages.stopped(0);
  assert.deepEqual(
    entries(journal).map(({ MESSAGE, MACHINE }) => [MESSAGE, MACHINE]),
    [
      ['A notice.', 'web'],
      ['Machine web has ended.', 'web'],
    ],
  );
});
