import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { QmpConnectionError, QmpError, QmpTimeoutError } from '../../src/qemu/errors.ts';
import { Qmp } from '../../src/qemu/qmp.ts';
import { minimal, startQemu } from './start-qemu.ts';

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}\r\n';

interface Request {
  readonly execute: string;
  readonly id: number;
}

/** The other side of a connection: what the client says goes to `answer`, `say` sends bytes to it. */
class Peer extends Duplex {
  readonly requests: Request[] = [];
  answer: (request: Request) => void = () => {};

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    callback();
    const request: Request = JSON.parse(String(chunk));
    this.requests.push(request);
    if (request.execute === 'qmp_capabilities') this.reply(request.id);
    else this.answer(request);
  }

  say(text: string | Uint8Array): void {
    this.push(typeof text === 'string' ? Buffer.from(text) : text);
  }

  reply(id: unknown, value: unknown = {}): void {
    this.say(`${JSON.stringify({ return: value, id })}\r\n`);
  }
}

async function negotiated(
  answer: (peer: Peer, request: Request) => void = () => {},
): Promise<{ peer: Peer; qmp: Qmp }> {
  const peer = new Peer();
  peer.answer = (request) => answer(peer, request);
  const qmp = new Qmp(peer);
  peer.say(GREETING);
  await qmp.negotiate();
  return { peer, qmp };
}

const event = (name: string, data: unknown = {}) => `${JSON.stringify({ event: name, data })}\n`;

/** The chain of messages from an error down. */
function words(error: unknown): string {
  return error instanceof Error ? `${error.message} | ${words(error.cause)}` : '';
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
}

describe('Qmp with a real QEMU', () => {
  test('greeting, commands, events, words of an error, quit', async () => {
    await using vm = await startQemu(() => minimal('a'), { negotiate: false });
    const { qmp } = vm;
    const names: string[] = [];
    using _listener = qmp.onEvent(({ name }) => names.push(name));
    const events = qmp.events();
    const greeting = await qmp.negotiate();
    assert.ok(greeting.version[0] >= 7);
    assert.deepEqual(greeting.capabilities.includes('oob'), true);
    assert.deepEqual((await qmp.execute('query-version')).version, greeting.version);
    assert.deepEqual(await qmp.execute('query-status'), { status: 'prelaunch', running: false });
    await qmp.execute('cont');
    assert.deepEqual((await events.next()).value?.name, 'RESUME');
    assert.equal((await qmp.execute('query-status')).status, 'running');
    await qmp.execute('stop');
    const schema = await qmp.execute('query-qmp-schema');
    assert.ok(schema.length > 500);

    const error = await rejection(qmp.execute('getfd', { fdname: 'x' }));
    assert.ok(error instanceof QmpError);
    assert.equal(error.command, 'getfd');
    assert.equal(error.class, 'GenericError');
    assert.equal(error.message, 'QEMU refused getfd: No file descriptor supplied via SCM_RIGHTS');
    const unknown = await rejection(qmp.executeAny('no-such-command'));
    assert.ok(unknown instanceof QmpError && unknown.class === 'CommandNotFound');
    // QEMU cannot parse this one, so its reply has no id.
    const unparsable = await rejection(qmp.execute('getfd', { fdname: '\uffff' }));
    assert.ok(unparsable instanceof QmpError && /valid/.test(unparsable.message), String(unparsable));
    assert.deepEqual(
      await Promise.all([1, 2, 3].map(async () => (await qmp.execute('query-status')).status)),
      ['paused', 'paused', 'paused'],
    );

    await qmp.execute('quit');
    assert.deepEqual(await vm.exited, { code: 0, signal: null });
    assert.equal((await qmp.closed).message, 'QEMU closed its QMP connection');
    assert.deepEqual(names.slice(0, 2), ['RESUME', 'STOP']);
    assert.equal(names.at(-1), 'SHUTDOWN');
    const rest: string[] = [];
    for await (const { name } of events) rest.push(name);
    assert.deepEqual(rest, names.slice(1));
    assert.equal(qmp.strays, 0);
  });

  test('a QEMU that is killed ends all calls', async () => {
    await using vm = await startQemu(() => minimal('a'));
    vm.kill('SIGSTOP');
    const calls = [vm.qmp.execute('query-status'), vm.qmp.execute('cont')].map(rejection);
    vm.kill('SIGKILL');
    const [first, second] = await Promise.all(calls);
    assert.ok(first instanceof QmpConnectionError);
    assert.equal(first, second);
  });
});

describe('Qmp with a peer that is not well', () => {
  const openings: [string, string | Uint8Array | null, RegExp][] = [
    ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n', /not QMP \| a line that is not JSON, "SSH-2/],
    ['another protocol in JSON', '{"hello": 1}\n', /no message of QMP/],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe, 0x0a]), /not UTF-8/],
    ['a reply before the greeting', '{"return": {}}\n', /return before the greeting/],
    ['an event before the greeting', event('STOP'), /event before the greeting/],
    [
      'an error in place of it',
      '{"error": {"class": "GenericError", "desc": "busy"}}\n',
      /"busy" in place of a greeting/,
    ],
    ['no word at all', null, /closed its QMP connection/],
    ['two greetings', GREETING + GREETING, /a second greeting/],
    ['a line without an end', 'x'.repeat(1024 ** 2 + 1), /more than 1048576 bytes/],
    ['nesting without an end', `${'['.repeat(500_000)}\n`, /not JSON/],
  ];
  for (const [what, opening, message] of openings) {
    test(`greets with ${what}`, async () => {
      const peer = new Peer();
      const qmp = new Qmp(peer);
      peer.push(typeof opening === 'string' ? Buffer.from(opening) : opening);
      const error = await rejection(qmp.negotiate());
      assert.ok(error instanceof QmpConnectionError);
      assert.match(words(error), message);
      assert.equal(await qmp.closed, error);
      assert.equal(await rejection(qmp.execute('cont')), error);
      assert.equal(peer.destroyed, true);
    });
  }

  test('does not greet in time', async () => {
    const qmp = new Qmp(new Peer());
    assert.ok((await rejection(qmp.negotiate({ timeout: 1 }))) instanceof QmpTimeoutError);
    await qmp[Symbol.asyncDispose]();
  });

  test('refuses capabilities', async () => {
    const peer = new Peer();
    const qmp = new Qmp(peer);
    peer.reply = () => peer.say('{"error": {"class": "GenericError", "desc": "not you"}}\n');
    peer.say(GREETING);
    assert.match(String(await rejection(qmp.negotiate())), /QEMU refused qmp_capabilities: not you/);
    await qmp[Symbol.asyncDispose]();
  });

  test('answers out of order, twice, and what nobody asked', async () => {
    const { peer, qmp } = await negotiated();
    const first = qmp.executeAny('a');
    const second = qmp.executeAny('b');
    const [a, b] = peer.requests.slice(1);
    peer.reply(b?.id, 'for b');
    peer.reply(b?.id, 'again');
    peer.reply(999, 'nobody');
    peer.reply('text', 'nobody');
    peer.say('{"return": {}}\n');
    peer.reply(a?.id, 'for a');
    assert.deepEqual(await Promise.all([first, second]), ['for a', 'for b']);
    assert.equal(qmp.strays, 4);
    await qmp[Symbol.asyncDispose]();
  });

  test('ends in the middle of a command, in the middle of a line', async () => {
    const { peer, qmp } = await negotiated();
    const calls = [qmp.execute('cont'), qmp.execute('query-status')].map(rejection);
    peer.say('{"return": {"status":');
    peer.push(null);
    const errors = await Promise.all(calls);
    assert.equal(errors[0], errors[1]);
    assert.match(words(errors[0]), /in the middle of a line \| 21 bytes/);
  });

  test('breaks with an error of the stream, which is the cause', async () => {
    const { peer, qmp } = await negotiated();
    const call = rejection(qmp.execute('cont'));
    const cause = Object.assign(new Error('read failed'), { code: 'EIO' });
    peer.destroy(cause);
    const error = await call;
    assert.ok(error instanceof QmpConnectionError);
    assert.equal(error.message, 'The QMP connection to QEMU failed');
    assert.equal(error.cause, cause);
    assert.equal(qmp.failure, error);
  });

  test('is reset, as by a QEMU that ends with a line end unread', async () => {
    const { peer, qmp } = await negotiated();
    peer.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    assert.equal((await qmp.closed).message, 'QEMU closed its QMP connection');
  });

  test('answers with another shape than promised', async () => {
    const { qmp } = await negotiated((peer, { id }) => peer.reply(id, { status: 5 }));
    assert.match(
      String(await rejection(qmp.execute('query-status'))),
      /QEMU answered query-status with something else/,
    );
    await qmp[Symbol.asyncDispose]();
  });

  test('answers late: a deadline and a signal end the call alone', async () => {
    const { peer, qmp } = await negotiated();
    const late = await rejection(qmp.execute('query-status', undefined, { timeout: 1 }));
    assert.match(String(late), /QmpTimeoutError: QEMU did not answer query-status within 0.001 s/);
    const controller = new AbortController();
    const reason = new Error('stopped by hand');
    const given = rejection(qmp.execute('query-status', undefined, { signal: controller.signal }));
    controller.abort(reason);
    assert.equal(await given, reason);
    assert.equal(await rejection(qmp.execute('cont', undefined, { signal: controller.signal })), reason);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    for (const { id } of peer.requests.slice(1)) peer.reply(id, { status: 'running', running: true });
    peer.answer = ({ id }) => peer.reply(id);
    await qmp.execute('cont');
    assert.equal(qmp.strays, 0);
    await qmp[Symbol.asyncDispose]();
  });

  test('sends a line that only a large reply may have', async () => {
    const { peer, qmp } = await negotiated();
    const large = qmp.execute('query-qmp-schema');
    peer.reply(peer.requests.at(-1)?.id, ['x'.repeat(2 * 1024 ** 2)]);
    assert.equal((await large).length, 1);
    const call = rejection(qmp.execute('query-status'));
    peer.say('x'.repeat(2 * 1024 ** 2));
    assert.match(words(await call), /more than 1048576 bytes/);
  });

  test('sends 100000 events: the newest are kept, the loss is counted', async () => {
    const { peer, qmp } = await negotiated((other, { id }) => other.reply(id));
    const events = qmp.events({ limit: 100 });
    let heard = 0;
    using _listener = qmp.onEvent(() => {
      heard += 1;
    });
    for (let count = 0; count < 100_000; count += 100) {
      peer.say(Array.from({ length: 100 }, (_, index) => event('E', { number: count + index })).join(''));
    }
    await qmp.execute('cont');
    assert.equal(heard, 100_000);
    assert.equal(events.lost, 99_900);
    peer.push(null);
    const numbers: unknown[] = [];
    for await (const { data } of events) numbers.push(data['number']);
    assert.deepEqual(
      numbers,
      Array.from({ length: 100 }, (_, index) => 99_900 + index),
    );
  });

  test('a stream that is disposed of ends, for who waits too', async () => {
    const { peer, qmp } = await negotiated((other, { id }) => other.reply(id));
    const events = qmp.events();
    const waiting = events.next();
    events[Symbol.dispose]();
    peer.say(event('STOP'));
    assert.deepEqual(await waiting, { value: undefined, done: true });
    await qmp.execute('cont');
    assert.deepEqual(await events.next(), { value: undefined, done: true });
    await qmp[Symbol.asyncDispose]();
  });

  test('descriptors go with their command, or the call is refused', async () => {
    const { qmp } = await negotiated();
    assert.match(
      String(await rejection(qmp.execute('add-fd', {}, { descriptors: [0] }))),
      /carries no descriptors/,
    );
    await qmp[Symbol.asyncDispose]();

    const peer = new Peer();
    const sent: (readonly number[])[] = [];
    const able = Object.assign(peer, {
      async sendWithDescriptors(chunk: Uint8Array, descriptors: readonly number[]): Promise<void> {
        sent.push(descriptors);
        peer.write(chunk);
      },
    });
    peer.answer = ({ id }) => peer.reply(id, { 'fdset-id': 3, fd: 12 });
    const other = new Qmp(able);
    peer.say(GREETING);
    await other.negotiate();
    assert.deepEqual(await other.execute('add-fd', { 'fdset-id': 3 }, { descriptors: [7] }), {
      set: 3,
      fd: 12,
    });
    assert.deepEqual(sent, [[7]]);
    await other[Symbol.asyncDispose]();
  });

  test('disposal ends what waits and closes the stream', async () => {
    const { peer, qmp } = await negotiated();
    const call = rejection(qmp.execute('cont'));
    const closed = once(peer, 'close');
    await qmp[Symbol.asyncDispose]();
    await closed;
    assert.match(String(await call), /closed by vmspawn/);
    await qmp[Symbol.asyncDispose]();
  });

  test('any bytes at any boundaries: a call ends, and only with an error of ours', async () => {
    const junk = fc.oneof(
      fc.constantFrom(
        '{"return": {}, "id": 2}\n',
        '{"return": {}}\n',
        event('STOP'),
        '\r\n',
        '{"id": 2}\n',
        '\xff',
      ),
      fc.string(),
      fc.json().map((text) => `${text}\n`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(junk), fc.integer({ min: 1, max: 50 }), async (pieces, size) => {
        const { peer, qmp } = await negotiated();
        const call = qmp.execute('cont').then(
          () => null,
          (error: unknown) => error,
        );
        const bytes = Buffer.from(pieces.join(''));
        for (let at = 0; at < bytes.length && !peer.destroyed; at += size)
          peer.say(bytes.subarray(at, at + size));
        if (!peer.destroyed) peer.push(null);
        const error = await call;
        assert.ok(error === null || error instanceof QmpConnectionError || error instanceof QmpError);
        await qmp.closed;
      }),
    );
  });
});
