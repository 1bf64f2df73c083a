import assert from 'node:assert/strict';
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { asset } from '../../src/assets.ts';
import { readListenWords } from '../../src/sys/listen-descriptors.ts';

const fixture = asset('build', 'test', 'sys', 'fixtures', 'listener.cjs');

test('names and numbers go together', () => {
  assert.deepEqual(readListenWords({ LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'kvm:' }, 7), {
    descriptors: [
      { name: 'kvm', fd: 3 },
      { name: '', fd: 4 },
    ],
    problem: null,
  });
  assert.deepEqual(readListenWords({ LISTEN_PID: '7', LISTEN_FDS: '1' }, 7).descriptors, [
    { name: 'unknown', fd: 3 },
  ]);
});

test('nothing passed, and words for somebody else, are no problem', () => {
  for (const environment of [
    {},
    { LISTEN_FDS: '1' },
    { LISTEN_PID: '7' },
    { LISTEN_PID: '8', LISTEN_FDS: '1' },
    { LISTEN_PID: '7', LISTEN_FDS: '0' },
    { LISTEN_PID: '7', LISTEN_FDS: '0', LISTEN_FDNAMES: '' },
  ]) {
    assert.deepEqual(readListenWords(environment, 7), { descriptors: [], problem: null });
  }
});

test('words that are not as sd_listen_fds(3) has them give nothing, with the reason', () => {
  for (const [environment, reason] of [
    [{ LISTEN_PID: ' 7', LISTEN_FDS: '1' }, /LISTEN_PID is " 7"/],
    [{ LISTEN_PID: '07', LISTEN_FDS: '1' }, /LISTEN_PID/],
    [{ LISTEN_PID: '7', LISTEN_FDS: '-1' }, /LISTEN_FDS is "-1"/],
    [{ LISTEN_PID: '7', LISTEN_FDS: '1e3' }, /LISTEN_FDS/],
    [{ LISTEN_PID: '7', LISTEN_FDS: '999999' }, /LISTEN_FDS/],
    [{ LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'kvm' }, /1 names for 2/],
  ] as const) {
    const { descriptors, problem } = readListenWords(environment, 7);
    assert.deepEqual(descriptors, []);
    assert.match(problem ?? '', reason);
  }
});

test('any words at all are read without an exception', () => {
  const word = fc.option(fc.oneof(fc.string(), fc.constantFrom('7', '1', 'a:b')), { nil: undefined });
  fc.assert(
    fc.property(word, word, word, (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES) => {
      const { descriptors, problem } = readListenWords({ LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES }, 7);
      assert.ok(problem === null || descriptors.length === 0);
    }),
  );
});

/** Runs the fixture with /dev/null and /dev/zero as 3 and 4, and words for its PID. */
function passed(words: string): unknown {
  const command = `exec 3</dev/null 4</dev/zero; LISTEN_PID=$$ ${words} exec "$0" "$1"`;
  const options: ExecFileSyncOptionsWithStringEncoding = {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  };
  return JSON.parse(execFileSync('bash', ['-c', command, process.execPath, fixture], options));
}

test('what was passed is taken, and no program inherits it', () => {
  assert.deepEqual(passed('LISTEN_FDS=2 LISTEN_FDNAMES=kvm:other'), {
    words: {
      descriptors: [
        { name: 'kvm', fd: 3 },
        { name: 'other', fd: 4 },
      ],
      problem: null,
    },
    open: { 3: ['/dev/null', true], 4: ['/dev/zero', true] },
  });
});

test('a number without a descriptor behind it makes all of them void', () => {
  const { words } = passed('LISTEN_FDS=2000') as { words: { problem: string } };
  assert.match(words.problem, /is not open/);
});
