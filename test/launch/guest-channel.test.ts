import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { GuestChannel } from '../../src/launch/guest-channel.ts';
import type { GuestMessage } from '../../src/launch/notify-reader.ts';
import { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { socketpair } from '../../src/sys/socketpair.ts';
import { listenUnix } from '../../src/sys/unix-listener.ts';
import { temporaryDirectory } from '../guests.ts';

/** Collects messages; `next` waits until there are so many. */
class Inbox {
  readonly messages: GuestMessage[] = [];
  #changed: () => void = () => {};

  readonly receive = (message: GuestMessage): void => {
    this.messages.push(message);
    this.#changed();
  };

  async until(count: number): Promise<void> {
    while (this.messages.length < count) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

function serialPair(inbox: Inbox): { guest: DescriptorStream; channel: GuestChannel } {
  const [ours, theirs] = socketpair();
  const channel = new GuestChannel({ listener: null, receive: inbox.receive });
  channel.listenTo(new DescriptorStream(ours, { allowHalfOpen: false }));
  return { guest: new DescriptorStream(theirs), channel };
}

test('the serial port gives all that was written to it before QEMU ended', async () => {
  const inbox = new Inbox();
  const { guest, channel } = serialPair(inbox);
  using _channel = channel;
  guest.write('READY=1\nSTA');
  await inbox.until(1);
  guest.write('TUS=x\nEXIT_STATUS=5\n');
  guest.end();
  await channel.drained;
  guest.destroy();
  assert.deepEqual(inbox.messages, [
    { kind: 'ready' },
    { kind: 'status', text: 'x' },
    { kind: 'exit-status', status: 5 },
  ]);
});

test('a million READY=1 and ten megabytes of noise pass through a port, and the word after them is heard', async () => {
  const inbox = new Inbox();
  const { guest, channel } = serialPair(inbox);
  using _channel = channel;
  const noise = Buffer.alloc(1024 ** 2, 0xff);
  const flood = Buffer.from('READY=1\n'.repeat(100_000));
  const send = (chunk: Buffer) =>
    new Promise<void>((resolve, reject) =>
      guest.write(chunk, (error) => (error ? reject(error) : resolve())),
    );
  for (let count = 0; count < 10; count += 1) await send(noise);
  for (let count = 0; count < 10; count += 1) await send(flood);
  guest.end('EXIT_STATUS=9\n');
  await channel.drained;
  guest.destroy();
  // The first of them ends the line of noise.
  assert.equal(inbox.messages.filter(({ kind }) => kind === 'ready').length, 999_999);
  assert.deepEqual(inbox.messages.at(-1), { kind: 'exit-status', status: 9 });
});

interface Guests extends Disposable {
  readonly inbox: Inbox;
  connect(): Promise<Socket>;
}

/** A Unix socket in place of AF_VSOCK, and somebody who says whose each connection is. */
function vsockGuests(cidOf: () => number, endless = false): Guests {
  const directory = temporaryDirectory();
  const listener = listenUnix(join(directory.path, 'vsock'));
  const inbox = new Inbox();
  const channel = new GuestChannel({
    listener: { fd: listener.fd, isGuest: () => cidOf() === 42, endless },
    receive: inbox.receive,
  });
  // The channel closes it.
  listener.releaseDescriptor({ close: false });
  return {
    inbox,
    connect: () =>
      new Promise((resolve, reject) => {
        const socket = connect(listener.path, () => resolve(socket));
        socket.on('error', reject);
      }),
    [Symbol.dispose]() {
      channel[Symbol.dispose]();
      listener[Symbol.dispose]();
      directory[Symbol.dispose]();
    },
  };
}

const closed = (socket: Socket) => new Promise((resolve) => socket.resume().once('close', resolve));

test('over vsock each connection is a message, which needs no line feed, and is closed after it', async () => {
  using guests = vsockGuests(() => 42);
  const socket = await guests.connect();
  socket.end('READY=1\nSTATUS=up');
  await closed(socket);
  await guests.inbox.until(2);
  assert.deepEqual(guests.inbox.messages, [{ kind: 'ready' }, { kind: 'status', text: 'up' }]);
});

test('where the end of a message is not to be seen a pause is taken for it', async () => {
  using guests = vsockGuests(() => 42, true);
  for (const text of ['READY=1\nSTATUS=up', 'EXIT_STATUS=3']) {
    const socket = await guests.connect();
    const over = closed(socket);
    socket.write(text);
    await over;
  }
  assert.deepEqual(guests.inbox.messages, [
    { kind: 'ready' },
    { kind: 'status', text: 'up' },
    { kind: 'exit-status', status: 3 },
  ]);
});

test('only our guest is believed', async () => {
  let cid = 43;
  using guests = vsockGuests(() => {
    if (cid === 0) throw new Error('getpeername failed');
    return cid;
  });
  for (cid of [43, 2, 0]) {
    const socket = await guests.connect();
    socket.on('error', () => {});
    socket.end('READY=1\n');
    await closed(socket);
  }
  cid = 42;
  (await guests.connect()).end('EXIT_STATUS=1\n');
  await guests.inbox.until(1);
  assert.deepEqual(guests.inbox.messages, [{ kind: 'exit-status', status: 1 }]);
});

test('connections that stay open are limited in number', async () => {
  using guests = vsockGuests(() => 42);
  const sockets: Socket[] = [];
  for (let count = 0; count < 16; count += 1) sockets.push(await guests.connect());
  // Each says something, so that all have been taken.
  for (const socket of sockets) socket.write('READY=1\n');
  await guests.inbox.until(16);
  const late = await guests.connect();
  late.on('error', () => {});
  await closed(late);
  sockets[0]?.end();
  if (sockets[0] !== undefined) await closed(sockets[0]);
  (await guests.connect()).end('EXIT_STATUS=2');
  await guests.inbox.until(17);
  for (const socket of sockets) socket.destroy();
});

test('a connection that stays open is closed after ten seconds', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  using guests = vsockGuests(() => 42);
  const socket = await guests.connect();
  socket.write('READY=1\n');
  await guests.inbox.until(1);
  context.mock.timers.tick(10_000);
  await closed(socket);
});

test('a channel that nobody uses is disposed of without a trace', () => {
  const [one, other] = socketpair();
  const channel = new GuestChannel({ listener: null, receive: () => {} });
  channel.listenTo(new DescriptorStream(one, { allowHalfOpen: false }));
  channel[Symbol.dispose]();
  closeSync(other);
});
