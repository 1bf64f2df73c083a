import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FramingError } from '../../src/qemu/framing.ts';
import { parseMessage } from '../../src/qemu/messages.ts';

describe('parseMessage', () => {
  test('reads what QEMU sends', () => {
    assert.deepEqual(
      parseMessage(
        '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob", 1]}}',
      ),
      { type: 'greeting', greeting: { version: [7, 2, 22], package: 'Debian', capabilities: ['oob'] } },
    );
    assert.deepEqual(parseMessage('{"return": {}, "id": 5}'), { type: 'return', id: 5, value: {} });
    assert.deepEqual(parseMessage('{"id": "x", "error": {"class": "GenericError", "desc": "no"}}'), {
      type: 'error',
      id: 'x',
      class: 'GenericError',
      description: 'no',
    });
    assert.deepEqual(
      parseMessage('{"timestamp": {"seconds": 12, "microseconds": 345678}, "event": "STOP"}'),
      { type: 'event', event: { name: 'STOP', data: {}, timestamp: 12345 } },
    );
    assert.deepEqual(
      parseMessage(
        '{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "RESET", "data": {"guest": true}}',
      ),
      { type: 'event', event: { name: 'RESET', data: { guest: true }, timestamp: null } },
    );
  });

  test('anything else is a FramingError, whatever it is', () => {
    const refused = [
      '{"return": {}',
      'null',
      '[]',
      '5',
      '{}',
      '{"event": 5}',
      '{"event": "A", "data": 1}',
      '{"error": {}}',
      '{"QMP": {}}',
      '{"QMP": {"version": {"qemu": {"major": "7", "minor": 2, "micro": 1}}}}',
      '[{"return": {}}]',
      '{"__proto__": {"return": 1}}',
      '['.repeat(100_000),
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    ];
    for (const line of refused) assert.throws(() => parseMessage(line), FramingError, line.slice(0, 80));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map((value) => JSON.stringify({ error: value })),
        ),
        (line) => {
          try {
            parseMessage(line);
          } catch (error) {
            assert.ok(error instanceof FramingError);
            assert.ok(error.message.length < 700);
          }
        },
      ),
    );
  });

  test('a reply may be nested as deep as a line is long', () => {
    const message = parseMessage(`{"return": ${'['.repeat(100_000)}${']'.repeat(100_000)}, "id": 1}`);
    assert.equal(message.type, 'return');
  });
});
