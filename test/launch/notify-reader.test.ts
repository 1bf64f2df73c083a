import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type GuestMessage, NotifyReader } from '../../src/launch/notify-reader.ts';

function read(bytes: Uint8Array | string, sizes: readonly number[] = []): GuestMessage[] {
  const reader = new NotifyReader();
  const all = Buffer.from(bytes as string);
  const messages: GuestMessage[] = [];
  let start = 0;
  for (const size of sizes) {
    messages.push(...reader.push(all.subarray(start, start + size)));
    start += size;
  }
  return [...messages, ...reader.push(all.subarray(start)), ...reader.end()];
}

test('what the systemd of a guest says is understood', () => {
  assert.deepEqual(read('STATUS=Startup finished.\nREADY=1\nX_SYSTEMD_SIGNALS_LEVEL=2\nEXIT_STATUS=7'), [
    { kind: 'status', text: 'Startup finished.' },
    { kind: 'ready' },
    { kind: 'exit-status', status: 7 },
  ]);
  assert.deepEqual(read('READY=1\r\n'), [{ kind: 'ready' }]);
  assert.deepEqual(read('EXIT_STATUS=0\nEXIT_STATUS=255\n'), [
    { kind: 'exit-status', status: 0 },
    { kind: 'exit-status', status: 255 },
  ]);
});

test('what is no message of ours says nothing', () => {
  const lines = [
    '',
    '=',
    'READY',
    'READY=',
    'READY=0',
    'READY=11',
    ' READY=1',
    'ready=1',
    'MAINPID=1',
    'FDSTORE=1',
  ];
  for (const number of ['', '-1', '256', '999', '1000', '0x1', '1.0', ' 1', '1e1', 'NaN', '\u0661']) {
    lines.push(`EXIT_STATUS=${number}`);
  }
  assert.deepEqual(read(lines.join('\n')), []);
  assert.deepEqual(read(Buffer.from('STATUS=\xff\xfe\nREADY=1\xc3\nREADY=1\0\n', 'latin1')), []);
});

test('a status is made printable and short', () => {
  assert.deepEqual(read('STATUS=\x1b[2Ja\tb\u202e\u{1f600}'), [
    { kind: 'status', text: '\\x1b[2Ja\\x09b\\u202e\u{1f600}' },
  ]);
  const [message] = read(`STATUS=${'\u{1f600}'.repeat(1000)}`);
  assert.ok(message?.kind === 'status');
  assert.equal(message.text, '\u{1f600}'.repeat(200));
});

test('ten megabytes without a line feed are skipped, and the line after them is read', () => {
  const reader = new NotifyReader();
  const chunk = Buffer.alloc(64 * 1024, 'READY=1');
  for (let sent = 0; sent < 10 * 1024 ** 2; sent += chunk.length) assert.deepEqual(reader.push(chunk), []);
  assert.deepEqual(reader.push(Buffer.from('\nREADY=1\n')), [{ kind: 'ready' }]);
  assert.deepEqual(read(`STATUS=${'x'.repeat(4096)}`), []);
});

test('messages are the same however the bytes are cut', () => {
  const line = fc.oneof(
    fc.constantFrom('READY=1', 'EXIT_STATUS=3', 'STATUS=\u00e4 b', 'X=1', ''),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(30)), (lines, sizes) => {
      const text = lines.join('\n');
      assert.deepEqual(read(text, sizes), read(text));
    }),
  );
});

test('any bytes at all do no harm', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const message of read(bytes)) if (message.kind === 'exit-status') assert.ok(message.status <= 255);
    }),
  );
});
