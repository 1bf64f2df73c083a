import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { listenUnix } from '../../src/sys/unix-listener.ts';
import {
  VarlinkClient,
  VarlinkClosedError,
  VarlinkConnectError,
  VarlinkError,
  VarlinkTimeoutError,
} from '../../src/varlink/index.ts';
import { temporaryDirectory } from '../temporary.ts';
import {
  connected,
  lampDescription,
  lampServer,
  listening,
  openDescriptors,
  type Seen,
  until,
} from './lamp.ts';

const directory = temporaryDirectory();

function error(name: string, parameters: object = {}) {
  return (thrown: unknown) => {
    assert.ok(thrown instanceof VarlinkError, String(thrown));
    assert.deepEqual([thrown.error, thrown.parameters], [name, parameters]);
    return true;
  };
}

describe('calls', () => {
  test('what goes in comes out, pipelined and in order', async () => {
    await using both = connected();
    const { client } = both;
    const values = [
      1,
      'ü\u0000\u2028',
      [null],
      { __proto__: null, constructor: 1 },
      true,
      1e300,
      'x'.repeat(500_000),
    ];
    const replies = await Promise.all(values.map((value) => client.call('org.example.Lamp.Echo', { value })));
    assert.deepEqual(
      replies.map(({ parameters }) => parameters['value']),
      values.map((value) => JSON.parse(JSON.stringify(value))),
    );
  });

  test('any JSON survives', async () => {
    await using both = connected();
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), async (value) => {
        const { parameters } = await both.client.call('org.example.Lamp.Echo', { value });
        assert.deepEqual(parameters['value'] ?? null, JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 200 },
    );
  });

  test('the service tells about itself', async () => {
    await using both = connected();
    const { client } = both;
    assert.deepEqual((await client.call('org.varlink.service.GetInfo')).parameters, {
      vendor: 'Example',
      product: 'Lamp',
      version: '1',
      url: 'https://example.org',
      interfaces: ['org.varlink.service', 'org.example.Lamp'],
    });
    const describe = (name: string) =>
      client.call('org.varlink.service.GetInterfaceDescription', { interface: name });
    assert.equal((await describe('org.example.Lamp')).parameters['description'], lampDescription);
    assert.match(String((await describe('org.varlink.service')).parameters['description']), /GetInfo/);
    for (const name of ['__proto__', 'constructor', '', 'org.example']) {
      await assert.rejects(
        describe(name),
        error('org.varlink.service.InterfaceNotFound', { interface: name }),
      );
    }
  });

  test('what cannot be called is told by the standard errors', async () => {
    const failures: unknown[] = [];
    await using both = connected({ failed: (...failure) => failures.push(failure) });
    const { client } = both;
    const lamp = (name: string, parameters?: object) => client.call(`org.example.Lamp.${name}`, parameters);
    const service = (name: string) => `org.varlink.service.${name}`;
    for (const method of ['toString', '__proto__', 'constructor', 'echo', '']) {
      await assert.rejects(
        lamp(method),
        error(service('MethodNotFound'), { method: `org.example.Lamp.${method}` }),
      );
    }
    for (const [method, name] of [
      ['Echo', ''],
      ['', ''],
      ['__proto__.Echo', '__proto__'],
      ['org.example.Other.Echo', 'org.example.Other'],
    ] as const) {
      await assert.rejects(client.call(method), error(service('InterfaceNotFound'), { interface: name }));
    }
    await assert.rejects(
      lamp('Absent'),
      error(service('MethodNotImplemented'), { method: 'org.example.Lamp.Absent' }),
    );
    await assert.rejects(lamp('Count', { to: 2 }), error(service('ExpectedMore')));
    await assert.rejects(lamp('Raw', { greeting: 'hi' }), error(service('ExpectedUpgrade')));
    await assert.rejects(lamp('Count', { to: '2' }), error(service('InvalidParameter'), { parameter: 'to' }));
    await assert.rejects(lamp('Wait', { a: 1 }), error(service('InvalidParameter'), { parameter: 'a' }));
    await assert.rejects(
      lamp('Wait', JSON.parse('{"__proto__": 1}')),
      error(service('InvalidParameter'), { parameter: '__proto__' }),
    );
    await assert.rejects(
      lamp('Break', { kind: 'glass' }),
      error('org.example.Lamp.Broken', { kind: 'glass' }),
    );
    assert.deepEqual(failures, []);
    await assert.rejects(
      lamp('Break', { kind: 'fault' }),
      error('io.systemd.System', { origin: 'linux', errno: 5, errnoName: 'EIO' }),
    );
    assert.deepEqual(failures, [[new RangeError('a fault of the lamp'), 'org.example.Lamp.Break']]);
    assert.equal((await lamp('Echo', { value: 1 })).parameters['value'], 1, 'the connection goes on');
  });

  test('a description that is not valid or does not fit is refused when the server is made', () => {
    const server = (description: string, methods = {}) =>
      lampServer({ interfaces: [{ description, methods }] });
    assert.throws(() => server('interface org.example.x\nmethod a() -> ()'), /^IdlSyntaxError: 2:8: /);
    assert.throws(() => server('interface org.example.x', { Echo: async () => {} }), TypeError);
    assert.throws(() => server('interface org.varlink.service'), TypeError);
  });
});

describe('more, oneway, upgrade', () => {
  test('a stream of replies ends behind the last one, also when it is longer than what is read ahead', async () => {
    await using both = connected();
    for (const to of [1, 2, 1000]) {
      const numbers: unknown[] = [];
      for await (const { parameters } of both.client.more('org.example.Lamp.Count', { to })) {
        if (to === 1000 && numbers.length % 300 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        numbers.push(parameters['number']);
      }
      assert.deepEqual(
        numbers,
        Array.from({ length: to }, (_, index) => index + 1),
      );
    }
    assert.equal((await both.client.call('org.example.Lamp.Echo', { value: 1 })).parameters['value'], 1);
  });

  test('an error ends a stream, and the connection goes on', async () => {
    await using both = connected();
    const { client } = both;
    await assert.rejects(client.more('org.example.Lamp.Break', { kind: 'x' }).next(), VarlinkError);
    assert.equal((await client.call('org.example.Lamp.Echo', { value: 1 })).parameters['value'], 1);
  });

  test('giving a stream up closes the connection, and the method is told', async () => {
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using both = connected({ seen });
    for await (const _ of both.client.more('org.example.Lamp.Count', { to: 3, wait: true })) break;
    assert.equal(await both.client.closed, null);
    await until(() => seen.aborted.length === 1);
    await assert.rejects(both.client.call('org.example.Lamp.Wait'), VarlinkClosedError);
    await until(() => both.server.connections === 0);
  });

  test('oneway calls are carried out in order and never answered', async () => {
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using both = connected({ seen });
    const { client } = both;
    await client.oneway('org.example.Lamp.Echo', { value: 1 });
    await client.oneway('org.example.Lamp.Nothing');
    await client.oneway('org.example.Lamp.Break', { kind: 'x' });
    const { parameters } = await client.call('org.example.Lamp.Echo', { value: 2 });
    assert.equal(parameters['value'], 2);
    assert.deepEqual(seen.echoed, [1, 2]);
  });

  test('oneway calls of a client that is gone already are carried out', async () => {
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using service = listening(directory, { seen });
    const client = await VarlinkClient.connect(service.path);
    await Promise.all(
      Array.from({ length: 500 }, (_, value) => client.oneway('org.example.Lamp.Echo', { value })),
    );
    await client[Symbol.asyncDispose]();
    await until(() => seen.echoed.length === 500);
  });

  test('an upgraded connection is a stream for both sides, with nothing lost', async () => {
    await using both = connected();
    const { reply, stream } = await both.client.upgrade('org.example.Lamp.Raw', { greeting: 'welcome' });
    assert.deepEqual(reply, { parameters: {}, descriptors: [] });
    assert.equal(await both.client.closed, null);
    stream.write('shout');
    let text = '';
    for await (const chunk of stream) {
      text += String(chunk);
      if (text === 'welcome\nSHOUT') break;
    }
    await until(() => both.server.connections === 0);
    await assert.rejects(both.client.call('org.example.Lamp.Wait'), VarlinkClosedError);
  });

  test('an upgrade that is refused leaves the connection as it is; one that nobody takes over ends it', async () => {
    await using both = connected();
    const { client } = both;
    const refused = client.upgrade('org.example.Lamp.Break', { kind: 'x' });
    await assert.rejects(client.call('org.example.Lamp.Wait'), /is being upgraded/);
    await assert.rejects(refused, VarlinkError);
    assert.equal((await client.call('org.example.Lamp.Echo', { value: 1 })).parameters['value'], 1);
    const { stream } = await client.upgrade('org.example.Lamp.Echo', { value: 1 });
    stream.resume();
    await new Promise((resolve) => stream.once('end', resolve));
    stream.destroy();
  });
});

describe('descriptors', () => {
  test('travel both ways with their message, and those that nobody took are closed', async () => {
    const before = openDescriptors();
    {
      await using both = connected();
      const { client } = both;
      const files = ['/proc/self/comm', '/proc/version'].map((path) => openSync(path, 'r'));
      const version = readFileSync('/proc/version', 'utf8');
      const comm = readFileSync('/proc/self/comm', 'utf8');
      const [plain, read, opened, again] = await Promise.all([
        client.call('org.example.Lamp.Echo', { value: 1 }, { descriptors: files }),
        client.call('org.example.Lamp.Read', {}, { descriptors: files }),
        client.call('org.example.Lamp.Open'),
        client.call('org.example.Lamp.Read'),
      ]);
      assert.deepEqual(plain.descriptors, []);
      assert.deepEqual(read.parameters, { texts: [comm, version] });
      assert.deepEqual(again.parameters, { texts: [] });
      assert.equal(opened.descriptors.length, 1);
      for (const fd of [...opened.descriptors, ...files]) closeSync(fd);
    }
    assert.equal(openDescriptors(), before);
  });

  test('those of a reply that comes too late are closed', async () => {
    const before = openDescriptors();
    {
      await using both = connected();
      const { client } = both;
      const controller = new AbortController();
      const late = client.call('org.example.Lamp.Open', {}, { signal: controller.signal });
      controller.abort(new Error('enough'));
      await assert.rejects(late, /enough/);
      assert.equal((await client.call('org.example.Lamp.Echo', { value: 1 })).parameters['value'], 1);
    }
    assert.equal(openDescriptors(), before);
  });

  test('over a stream that carries none they are refused, and the rest works', async () => {
    const [near, far] = duplexPair();
    await using server = lampServer();
    server.accept(far, null);
    await using client = new VarlinkClient(near);
    await assert.rejects(client.call('org.example.Lamp.Read', {}, { descriptors: [0] }), TypeError);
    assert.equal((await client.call('org.example.Lamp.Echo', { value: 1 })).parameters['value'], 1);
  });
});

describe('time and loss', () => {
  test('every call has its deadline, and a late reply is not taken for another one', async () => {
    await using both = connected({ timeout: 20 });
    const { client, server } = both;
    await assert.rejects(client.call('org.example.Lamp.Wait'), VarlinkTimeoutError);
    const next = client.call('org.example.Lamp.Echo', { value: 1 }, { timeout: Infinity });
    // The server ends the call that waits, whose reply comes first then.
    await assert.rejects(client.call('org.example.Lamp.Echo', { value: 2 }), /within 0.02 s/);
    await server[Symbol.asyncDispose]();
    await assert.rejects(next, VarlinkClosedError);
  });

  test('a late reply is dropped', async () => {
    const [near, far] = duplexPair();
    await using client = new VarlinkClient(near, { timeout: 20 });
    await assert.rejects(client.call('a.b.First'), VarlinkTimeoutError);
    const second = client.call('a.b.Second', {}, { timeout: 10_000 });
    far.write('{"parameters":{"n":1}}\0{"parameters":{"n":2}}\0');
    assert.deepEqual((await second).parameters, { n: 2 });
  });

  test('an aborted signal rejects with its reason; before the call nothing is sent', async () => {
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using both = connected({ seen });
    const reason = new Error('changed my mind');
    const signal = AbortSignal.abort(reason);
    await assert.rejects(both.client.call('org.example.Lamp.Echo', { value: 1 }, { signal }), reason);
    await both.client.call('org.example.Lamp.Echo', { value: 2 });
    assert.deepEqual(seen.echoed, [2]);
  });

  test('what cannot be written as JSON fails alone', async () => {
    await using both = connected();
    await assert.rejects(both.client.call('org.example.Lamp.Echo', { value: 1n }), TypeError);
    assert.equal((await both.client.call('org.example.Lamp.Echo', { value: 1 })).parameters['value'], 1);
  });

  test('all calls fail when the peer goes away', async () => {
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using service = listening(directory, { seen });
    await using client = await VarlinkClient.connect(`unix:${service.path}`);
    const first = client.call('org.example.Lamp.Wait');
    const behind = [client.call('org.example.Lamp.Wait'), client.more('org.example.Lamp.Wait').next()];
    const refused = Promise.all(behind.map((call) => assert.rejects(call, VarlinkClosedError)));
    await until(() => seen.waiting === 1);
    await service.server[Symbol.asyncDispose]();
    assert.deepEqual(
      (await first).parameters,
      {},
      'what is carried out is told to end, and its reply is sent',
    );
    await refused;
    assert.ok((await client.closed) instanceof VarlinkClosedError);
  });

  test('what cannot be connected to is told by its code', async () => {
    const connect = (path: string) => VarlinkClient.connect(path);
    const code = (expected: string) => (thrown: unknown) =>
      thrown instanceof VarlinkConnectError && thrown.code === expected;
    await assert.rejects(connect(`${directory}/nothing`), code('ENOENT'));
    await assert.rejects(connect(`/${'x'.repeat(107)}`), code('ENAMETOOLONG'));
    await assert.rejects(connect('@vmspawn-test-nobody-listens-here'), code('ECONNREFUSED'));
  });

  test('a service whose queue is full is waited for, and not for ever', async () => {
    await using listener = listenUnix(join(directory, 'full'), { backlog: 0 });
    await using waiting = await VarlinkClient.connect(listener.path);
    await assert.rejects(VarlinkClient.connect(listener.path, { timeout: 50 }), VarlinkTimeoutError);
    const signal = AbortSignal.timeout(50);
    await assert.rejects(VarlinkClient.connect(listener.path, { signal }), { name: 'TimeoutError' });
    const late = VarlinkClient.connect(listener.path);
    await using server = lampServer();
    server.listen(listener.fd);
    listener.releaseDescriptor({ close: false });
    for (const client of [waiting, await late]) {
      await client.call('org.example.Lamp.Echo', { value: 1 });
      await client[Symbol.asyncDispose]();
    }
  });

  test('the server knows its peer and whom to refuse', async () => {
    await using service = listening(directory, { authorize: (peer) => peer?.uid === process.getuid?.() });
    await using client = await VarlinkClient.connect(service.path);
    assert.deepEqual((await client.call('org.example.Lamp.Who')).parameters, {
      pid: process.pid,
      uid: process.getuid?.(),
    });
    await using closed = listening(directory, { authorize: () => false });
    await using refused = await VarlinkClient.connect(closed.path);
    await assert.rejects(refused.call('org.example.Lamp.Who'), VarlinkClosedError);
  });
});

/** Plain streams without descriptors. */
function duplexPair(): [Duplex, Duplex] {
  const make = (): Duplex & { other?: Duplex } =>
    new Duplex({
      read() {},
      write(this: Duplex & { other?: Duplex }, chunk, _encoding, callback) {
        this.other?.push(chunk);
        callback();
      },
      final(this: Duplex & { other?: Duplex }, callback) {
        this.other?.push(null);
        callback();
      },
    });
  const [a, b] = [make(), make()];
  a.other = b;
  b.other = a;
  return [a, b];
}
