import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type GuestState, initialGuestState, type Observation, observe } from '../../src/launch/events.ts';
import type { JsonObject } from '../../src/qemu/messages.ts';

type Said = readonly [name: string, data?: JsonObject];

/** The state after some events, and everything that was said on the way. */
function after(...events: Said[]): { state: GuestState; texts: string[]; last: Observation } {
  let state = initialGuestState;
  let last: Observation = { state, notices: [], end: false };
  const texts: string[] = [];
  for (const [name, data = {}] of events) {
    last = observe(state, { name, data, timestamp: null });
    state = last.state;
    texts.push(...last.notices.map(({ level, text }) => `${level}: ${text}`));
  }
  return { state, texts, last };
}

const ioError = (more: JsonObject = {}): Said => [
  'BLOCK_IO_ERROR',
  {
    device: '',
    'node-name': 'root',
    operation: 'write',
    action: 'stop',
    nospace: true,
    reason: 'No space left on device',
    ...more,
  },
];

describe('observe', () => {
  test('the first RESUME is the start and needs no words', () => {
    const { state, texts } = after(['RESUME']);
    assert.equal(state.run, 'running');
    assert.deepEqual(texts, []);
  });

  test('stop and cont by somebody', () => {
    const { state, texts } = after(['RESUME'], ['STOP'], ['RESUME']);
    assert.equal(state.run, 'running');
    assert.deepEqual(texts, [
      'notice: The virtual machine is paused.',
      'notice: The virtual machine goes on.',
    ]);
  });

  test('a guest that powers itself off', () => {
    const { state, texts } = after(
      ['RESUME'],
      ['SHUTDOWN', { guest: true, reason: 'guest-shutdown' }],
      ['STOP'],
    );
    assert.deepEqual(state.shutdown, { guest: true, reason: 'guest-shutdown' });
    assert.equal(state.panicked, false);
    assert.deepEqual(texts, ['notice: The guest has powered off.']);
  });

  test('our own quit says nothing', () => {
    assert.deepEqual(after(['SHUTDOWN', { guest: false, reason: 'host-qmp-quit' }]).texts, []);
  });

  test('resets are counted and told apart', () => {
    const { state, texts } = after(
      ['RESUME'],
      ['RESET', { guest: true, reason: 'guest-reset' }],
      ['RESET', { guest: false, reason: 'host-qmp-system-reset' }],
    );
    assert.equal(state.resets, 2);
    assert.deepEqual(texts, ['notice: The guest reboots.', 'notice: The virtual machine was reset.']);
  });

  test('a panic is said once, whatever QEMU does about it', () => {
    const pause = after(['RESUME'], ['GUEST_PANICKED', { action: 'pause' }]);
    assert.equal(pause.state.panicked, true);
    assert.equal(pause.last.end, true);
    assert.deepEqual(pause.texts, ['warning: The kernel of the guest has panicked.']);
    const poweroff = after(
      ['RESUME'],
      ['GUEST_PANICKED', { action: 'poweroff', info: { type: 'hyper-v' } }],
      ['STOP'],
      ['SHUTDOWN', { guest: true, reason: 'guest-panic' }],
    );
    assert.equal(poweroff.state.panicked, true);
    assert.equal(poweroff.last.end, false);
    assert.deepEqual(poweroff.texts, ['warning: The kernel of the guest has panicked.']);
    assert.equal(after(['SHUTDOWN', { guest: true, reason: 'guest-panic' }]).state.panicked, true);
    assert.equal(after(['RESUME'], ['GUEST_PANICKED', { action: 'run' }]).last.end, false);
  });

  test('a full disk pauses the machine: one message, which names the drive', () => {
    const { state, texts } = after(
      ['RESUME'],
      ioError(),
      ioError(),
      ['STOP'],
      ['RESUME'],
      ioError({ 'node-name': '', device: 'virtio0' }),
    );
    assert.equal(state.run, 'paused');
    assert.deepEqual(texts, [
      'warning: No space is left for drive root; the virtual machine is paused. Free some space on the host, then resume it.',
      'notice: The virtual machine goes on.',
      'warning: No space is left for drive virtio0; the virtual machine is paused. Free some space on the host, then resume it.',
    ]);
  });

  test('errors that the guest gets are said once for each drive and reason', () => {
    const read = ioError({
      action: 'report',
      nospace: false,
      operation: 'read',
      reason: 'Input/output error\x1b[2J',
    });
    const { state, texts } = after(
      ['RESUME'],
      read,
      read,
      ioError({ action: 'stop', nospace: false, reason: 'gone' }),
    );
    assert.deepEqual(texts, [
      'warning: Reading from drive root failed (Input/output error\\x1b[2J); the guest was told so.',
      'warning: Writing to drive root failed (gone); the virtual machine is paused.',
    ]);
    assert.equal(state.run, 'paused');
    const many = Array.from({ length: 500 }, (_, index) =>
      ioError({ action: 'report', reason: `reason ${index}` }),
    );
    assert.equal(after(...many).state.said.length, 64);
  });

  test('a watchdog', () => {
    const { state, texts } = after(['RESUME'], ['WATCHDOG', { action: 'pause' }], ['STOP']);
    assert.equal(state.run, 'paused');
    assert.deepEqual(texts, ['warning: The watchdog of the guest has expired (action: pause).']);
  });

  test('any event with any data is taken', () => {
    const names = [
      'RESUME',
      'STOP',
      'RESET',
      'SHUTDOWN',
      'GUEST_PANICKED',
      'BLOCK_IO_ERROR',
      'WATCHDOG',
      'NIC_RX_FILTER_CHANGED',
      '__proto__',
    ];
    const members = ['guest', 'reason', 'action', 'node-name', 'device', 'operation', 'nospace'];
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom(...names), fc.dictionary(fc.constantFrom(...members), fc.jsonValue())),
        ),
        (events) => {
          for (const text of after(...events).texts) assert.doesNotMatch(text, /[\x00-\x1f]/);
        },
      ),
    );
  });
});
