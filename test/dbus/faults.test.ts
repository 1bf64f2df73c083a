import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { Bus } from '../../src/dbus/bus.ts';
import {
  BusClosedError,
  BusConnectError,
  type BusFailure,
  BusProtocolError,
  BusTimeoutError,
} from '../../src/dbus/errors.ts';
import { encodeBody } from '../../src/dbus/values.ts';
import { temporaryDirectory } from '../temporary.ts';
import { startBus, startService } from './private-bus.ts';

const directory = temporaryDirectory();
const call = { destination: 'test.Service', path: '/', interface: 'test.Interface', member: 'Wait' };

/** A method return or signal by hand; `fields` are the header's. */
function message(type: number, fields: unknown[], signature = '', body: unknown[] = []): Buffer {
  const bytes = encodeBody(signature, body);
  const all = [...fields, ...(signature === '' ? [] : [[8, { signature: 'g', value: signature }]])];
  const header = encodeBody('yyyyuua(yv)', ['l'.charCodeAt(0), type, 0, 1, bytes.length, 1, all]);
  return Buffer.concat([header, Buffer.alloc(-header.length & 7), bytes]);
}

function reply(serial: number, signature = '', body: unknown[] = []): Buffer {
  return message(2, [[5, { signature: 'u', value: serial }]], signature, body);
}

const greeting = Buffer.concat([Buffer.from('DATA\r\nOK 0123\r\n'), reply(1, 's', [':1.7'])]);

/** A bus that says what it is told to. */
class Peer extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    callback();
  }
}

async function connected(): Promise<{ peer: Peer; bus: Bus }> {
  const peer = new Peer();
  peer.push(greeting);
  return { peer, bus: await Bus.connect(peer) };
}

function fails(kind: new (message: string) => BusFailure, words: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof kind, `${String(error)} is no ${kind.name}`);
    assert.match(error.message, words);
    return true;
  };
}

/** Runs the fixture, which is to end by itself; a test that hangs fails. */
async function run(
  address: string,
  { keep = false, timeout = 300, line = (_child: ChildProcess) => {} } = {},
): Promise<string> {
  const child = spawn(
    process.execPath,
    [asset('build/test/dbus/fixtures/call.cjs'), address, String(timeout), keep ? 'keep' : ''],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
    line(child);
  });
  const [status] = await once(child, 'close');
  assert.equal(status, 0);
  return output;
}

describe('a bus that does not do its part, and a process that ends by itself', () => {
  test('there is no socket', async () => {
    assert.match(
      await run('unix:path=/missing'),
      /^BusConnectError: Cannot connect to the bus at unix:path=\/missing: .*ENOENT.*\n$/,
    );
  });

  test('a socket that never answers', async () => {
    const path = join(directory, 'mute');
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(path);
    await once(server, 'listening');
    assert.match(
      await run(`unix:path=${path}`),
      /^BusTimeoutError: The bus at unix:path=.*mute did not answer org\.freedesktop\.DBus\.Hello within 0\.3 s\n$/,
    );
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  test('a bus that is stopped, before and after somebody is connected', async () => {
    await using daemon = await startBus(directory);
    await using _service = await startService(daemon.address, 'test.Service', () => {});
    const stop = () => daemon.daemon.kill('SIGSTOP');
    assert.match(
      await run(daemon.address, { timeout: 3000, line: stop }),
      /^connected\nBusTimeoutError: .*unix:path=.*test\.Interface\.Wait within 3\.0 s\nclosed: null\n$|^connected\nclosed: null\nBusTimeoutError: .*unix:path=.*test\.Interface\.Wait within 3\.0 s\n$/,
    );
    stop();
    assert.match(
      await run(daemon.address),
      /^BusTimeoutError: The bus at unix:path=.*Hello within 0\.3 s\n$/,
    );
  });

  test('a bus that is killed during a call', async () => {
    await using daemon = await startBus(directory);
    await using _service = await startService(daemon.address, 'test.Service', () => {});
    const output = await run(daemon.address, {
      timeout: 60_000,
      keep: true,
      line: () => daemon.daemon.kill('SIGKILL'),
    });
    assert.match(output, /^BusClosedError: The connection to the bus at unix:path=.* is gone: /m);
    assert.match(output, /^closed: BusClosedError: The connection to the bus at unix:path=/m);
  });

  test('a service that is gone before it answers', async () => {
    await using daemon = await startBus(directory);
    await using service = await startService(daemon.address, 'test.Service', () => service.bus.disconnect());
    assert.match(
      await run(daemon.address, { timeout: 60_000 }),
      /BusError: .*test\.Service on the bus at unix:path=/,
    );
  });
});

describe('what comes over a stream', () => {
  test('no D-Bus, before hello', async () => {
    for (const [bytes, words] of [
      ['HTTP/1.1 400 Bad Request\r\n\r\n', /no D-Bus: the line "HTTP\/1\.1 400 Bad Request"/],
      ['x'.repeat(5000), /no D-Bus: a line of more than/],
      ['REJECTED EXTERNAL\r\n', /does not let this user in/],
      ['OK 0123\r\nnot a message at all', /begins with the bytes 6e6f7420/],
      [Buffer.concat([Buffer.from('OK\r\n'), reply(1, 'u', [7])]), /Our name on the bus is a number/],
      [Buffer.concat([Buffer.from('OK\r\n'), reply(1)]), /Our name on the bus is missing/],
      [
        Buffer.concat([
          Buffer.from('OK\r\n'),
          message(
            3,
            [
              [5, { signature: 'u', value: 1 }],
              [4, { signature: 's', value: 'test.No' }],
            ],
            's',
            ['go away'],
          ),
        ]),
        /go away/,
      ],
    ] as const) {
      const peer = new Peer();
      peer.push(bytes);
      await assert.rejects(Bus.connect(peer), fails(BusConnectError, words));
      assert.ok(peer.destroyed);
      await assert.rejects(
        Bus.connect(peer),
        fails(BusConnectError, /bus on a given stream: the other side closed it/),
      );
    }
  });

  test('an end before hello', async () => {
    const peer = new Peer();
    peer.push(greeting.subarray(0, 30));
    peer.push(null);
    await assert.rejects(
      Bus.connect(peer),
      fails(
        BusConnectError,
        /Cannot connect to the bus on a given stream: the other side closed it in the middle/,
      ),
    );
  });

  test('messages in pieces of one byte', async () => {
    const peer = new Peer();
    for (const byte of greeting) peer.push(Buffer.from([byte]));
    await using bus = await Bus.connect(peer);
    assert.equal(bus.uniqueName, ':1.7');
    const answer = bus.call(call);
    for (const byte of reply(2, 'as', [['a', 'b']])) peer.push(Buffer.from([byte]));
    assert.deepEqual(await answer, [['a', 'b']]);
  });

  test('garbage, too much and the end fail every call', async () => {
    const large = Buffer.from(reply(2));
    large.writeUInt32LE(2 ** 30, 4);
    const wrong = Buffer.from(reply(2, 'as', [['a', 'b']]));
    wrong.writeUInt32LE(2 ** 20, wrong.length - 16);
    const header = Buffer.from(reply(2));
    header.fill(0xff, 16);
    for (const [bytes, kind, words] of [
      [
        'garbage and more of it',
        BusProtocolError,
        /a given stream is gone: what came is no D-Bus: a message that/,
      ],
      [large, BusProtocolError, /a message of 1073741\d+ bytes/],
      [wrong, BusProtocolError, /beyond its message/],
      [header, BusProtocolError, /no D-Bus/],
      [reply(2, 's', ['some words']).subarray(0, 40), BusClosedError, /closed it in the middle of a message/],
      ['', BusClosedError, /the other side closed it$/],
    ] as const) {
      const { peer, bus } = await connected();
      const calls = [bus.call(call), bus.call(call)];
      peer.push(bytes);
      peer.push(null);
      for (const one of calls) await assert.rejects(one, fails(kind, words));
      const failure = await bus.closed;
      await assert.rejects(bus.call(call), (error) => error === failure);
      assert.ok(peer.destroyed);
      await bus[Symbol.asyncDispose]();
    }
  });

  test('answers that nobody waits for, and calls of ours, do no harm', async () => {
    const { peer, bus } = await connected();
    const answer = bus.call(call);
    peer.push(reply(99, 's', ['x']));
    peer.push(message(1, [[3, { signature: 's', value: 'Ping' }]]));
    peer.push(message(200, []));
    peer.push(reply(2));
    assert.deepEqual(await answer, []);
    await bus[Symbol.asyncDispose]();
  });

  test('an abort leaves the connection as it was and no listener behind', async () => {
    const { peer, bus } = await connected();
    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = bus.call(call, { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(aborted, reason);
    await assert.rejects(bus.call(call, { signal: controller.signal }), reason);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    await assert.rejects(
      bus.call(call, { timeout: 20 }),
      fails(BusTimeoutError, /given stream did not answer test\./),
    );
    const next = bus.call(call);
    // The late answers to those that were given up, then ours.
    for (const serial of [2, 3, 4]) peer.push(reply(serial, 'u', [serial]));
    assert.deepEqual(await next, [4]);
    await assert.rejects(Bus.connect(new Peer(), { signal: AbortSignal.abort(reason) }), reason);
    await bus[Symbol.asyncDispose]();
    assert.equal(await bus.closed, null);
  });

  test('an abort during connecting closes the stream', async () => {
    const peer = new Peer();
    const controller = new AbortController();
    const connecting = Bus.connect(peer, { signal: controller.signal });
    controller.abort();
    await assert.rejects(connecting, (error) => error === controller.signal.reason);
    assert.ok(peer.destroyed);
  });

  test('a stream that breaks down', async () => {
    const { peer, bus } = await connected();
    const answer = bus.call(call);
    peer.destroy(new Error('unplugged'));
    await assert.rejects(answer, fails(BusClosedError, /given stream is gone: unplugged/));
  });
});
