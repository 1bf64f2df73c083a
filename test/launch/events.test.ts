import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type GuestState, initialGuestState, type Observation, observe } from '../../src/launch/events.ts';
import type { JsonObject } from '../../src/qemu/messages.ts';
import { minimal, startQemu } from '../qemu/start-qemu.ts';

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
      'warning: No space is left for drive root; the virtual machine is paused. Free some space on the host, then send SIGUSR2 to vmspawn.',
      'notice: The virtual machine goes on.',
      'warning: No space is left for drive virtio0; the virtual machine is paused. Free some space on the host, then send SIGUSR2 to vmspawn.',
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

/** Boots `code` as a boot sector in a real QEMU, until `done` holds, and gives what was said. */
async function boot(
  code: readonly number[],
  done: (state: GuestState) => boolean,
  extra: readonly string[] = [],
): Promise<{ state: GuestState; texts: string[]; end: boolean }> {
  const directory = await mkdtemp(join(tmpdir(), 'vmspawn-events-'));
  try {
    // SeaBIOS does not boot a disk without one full cylinder.
    const disk = Buffer.alloc(2 * 1024 ** 2);
    disk.set(code);
    disk.writeUInt16LE(0xaa55, 510);
    const filename = join(directory, 'disk.raw');
    await writeFile(filename, disk);
    const fault = { event: 'write_aio', iotype: 'write', errno: 28 };
    await using vm = await startQemu(() => ({
      ...minimal('a'),
      // blkdebug takes a list, which no other node needs.
      extra: [
        ...['-blockdev', JSON.stringify({ driver: 'file', 'node-name': 'file', filename })],
        ...[
          '-blockdev',
          JSON.stringify({
            driver: 'blkdebug',
            'node-name': 'fault',
            image: 'file',
            'inject-error': [fault],
          }),
        ],
        ...['-blockdev', '{"driver":"raw","node-name":"root","file":"fault"}'],
        ...['-device', '{"driver":"virtio-blk-pci","id":"disk","drive":"root","bootindex":0}', ...extra],
      ],
    }));
    const events = vm.qmp.events();
    await vm.qmp.execute('cont');
    let state = initialGuestState;
    let end = false;
    const texts: string[] = [];
    for await (const event of events) {
      const observation = observe(state, event);
      state = observation.state;
      end ||= observation.end;
      texts.push(...observation.notices.map(({ text }) => text));
      if (done(state)) break;
    }
    return { state, texts, end };
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('observe with a real QEMU', { timeout: 120_000 }, () => {
  test('a guest that writes to a full disk', async () => {
    const { state, texts } = await boot(
      // xor ax,ax; mov es,ax; mov ax,0x0301; mov cx,2; mov dh,0; mov bx,0x7c00; int 0x13; hlt
      [
        0x31, 0xc0, 0x8e, 0xc0, 0xb8, 0x01, 0x03, 0xb9, 0x02, 0x00, 0xb6, 0x00, 0xbb, 0x00, 0x7c, 0xcd, 0x13,
        0xf4,
      ],
      ({ run }) => run === 'paused',
    );
    assert.equal(state.run, 'paused');
    assert.deepEqual(texts, [
      'No space is left for drive root; the virtual machine is paused. Free some space on the host, then send SIGUSR2 to vmspawn.',
    ]);
  });

  test('a guest that panics', async () => {
    for (const [action, end] of [
      ['shutdown', false],
      ['pause', true],
    ] as const) {
      const outcome = await boot(
        // mov dx,0x505; mov al,1; out dx,al; hlt
        [0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4],
        ({ run, shutdown }) => (end ? run === 'paused' : shutdown !== null),
        ['-device', 'pvpanic', '-action', `panic=${action}`],
      );
      assert.equal(outcome.state.panicked, true);
      assert.equal(outcome.end, end);
      assert.deepEqual(outcome.texts, ['The kernel of the guest has panicked.']);
    }
  });

  test('a guest that reboots, and one that powers itself off', async () => {
    // mov al,0xfe; out 0x64,al; hlt
    const reboot = await boot([0xb0, 0xfe, 0xe6, 0x64, 0xf4], ({ resets }) => resets === 2);
    assert.deepEqual(reboot.texts, ['The guest reboots.', 'The guest reboots.']);
    // mov dx,0x604; mov ax,0x2000; out dx,ax; hlt
    const off = await boot(
      [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4],
      ({ shutdown }) => shutdown !== null,
    );
    assert.deepEqual(off.state.shutdown, { guest: true, reason: 'guest-shutdown' });
    assert.deepEqual(off.texts, ['The guest has powered off.']);
  });
});
