import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { asset } from '../../src/assets.ts';
import type { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { VarlinkClient, VarlinkClosedError, type VarlinkServerLimits } from '../../src/varlink/index.ts';
import { temporaryDirectory } from '../temporary.ts';
import { lampServer, listening, openDescriptors, type Seen, streams, until } from './lamp.ts';

const directory = temporaryDirectory();

/** A raw connection to a lamp. */
function attack({ limits, seen }: { limits?: Partial<VarlinkServerLimits>; seen?: Seen } = {}) {
  const server = lampServer({ ...(limits && { limits }), ...(seen && { seen }) });
  const [raw, far] = streams({ maximumPending: limits?.descriptors ?? 16 });
  server.accept(far, null);
  raw.on('error', () => {});
  return {
    raw,
    server,
    async [Symbol.asyncDispose]() {
      raw.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Waits until nothing more comes, in whatever way that ended. */
async function gone(raw: DescriptorStream): Promise<void> {
  if (raw.destroyed || raw.readableEnded) return;
  await new Promise<void>((resolve) => {
    raw.once('end', resolve);
    raw.once('close', resolve);
  });
}

/** Everything until the server closes. */
async function readAll(raw: DescriptorStream): Promise<string> {
  let text = '';
  raw.on('data', (chunk) => {
    text += String(chunk);
  });
  await gone(raw);
  return text;
}

const echo = (value: unknown) =>
  `${JSON.stringify({ method: 'org.example.Lamp.Echo', parameters: { value } })}\0`;

describe('what is no varlink closes the connection, behind the answers to what was', () => {
  const bad: Record<string, string | Buffer> = {
    'no JSON': 'hello\0',
    'an empty message': '\0',
    'JSON that is no object': '[]\0',
    null: 'null\0',
    'no method': '{}\0',
    'a method that is no text': '{"method":["org.example.Lamp.Echo"]}\0',
    'a method only by inheritance': '{"__proto__":{"method":"org.example.Lamp.Echo"}}\0',
    'parameters that are no object': '{"method":"org.example.Lamp.Echo","parameters":[1]}\0',
    'a flag that is a number': '{"method":"org.example.Lamp.Echo","more":1}\0',
    'two flags': '{"method":"org.example.Lamp.Echo","more":true,"oneway":true}\0',
    'an unknown member': '{"method":"org.example.Lamp.Echo","hurry":true}\0',
    'a reply': '{"parameters":{}}\0',
    'bad UTF-8': Buffer.from([...Buffer.from('{"method":"'), 0xc0, 0x80, ...Buffer.from('"}'), 0]),
    '100,000 brackets': `{"method":"org.example.Lamp.Echo","parameters":{"value":${'['.repeat(100_000)}\0`,
    '100,000 closed brackets': `{"method":"org.example.Lamp.Echo","parameters":{"value":${'['.repeat(100_000)}${']'.repeat(100_000)}}}\0`,
    'a long message': `{"method":"${'x'.repeat(2_000_000)}"}\0`,
    HTTP: 'GET / HTTP/1.1\r\nHost: lamp\r\n\r\n\0',
  };
  for (const [name, bytes] of Object.entries(bad)) {
    test(name, async () => {
      await using one = attack();
      one.raw.write(echo('before'));
      one.raw.write(bytes);
      one.raw.write(echo('after'));
      assert.equal(await readAll(one.raw), '{"parameters":{"value":"before"}}\0');
      await until(() => one.server.connections === 0);
    });
  }

  test('random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1 }), { minLength: 1 }), async (chunks) => {
        await using one = attack();
        for (const chunk of chunks) one.raw.write(chunk);
        one.raw.end('\0');
        await readAll(one.raw);
        await until(() => one.server.connections === 0);
      }),
      { numRuns: 100 },
    );
  });
});

describe('what is strange and yet varlink is answered', () => {
  test('names of prototypes, members said twice, huge numbers, extensions, spaces, null for what is not there', async () => {
    await using one = attack();
    const calls = [
      '{"method":"org.example.Lamp.Echo","parameters":{"value":{"__proto__":{"a":1},"constructor":2}}}',
      '{"method":"org.example.Lamp.Wait","method":"org.example.Lamp.Echo","parameters":{"value":1,"value":2}}',
      '{"method":"org.example.Lamp.Count","parameters":{"to":1e400}}',
      '{"method":"org.example.Lamp.Count","parameters":{"to":18446744073709551616}}',
      '{"method":"org.example.Lamp.Count","parameters":{"to":1.5}}',
      `{"method":"org.example.Lamp.Echo","parameters":{"value":${'9'.repeat(100_000)}}}`,
      '{"method":"org.example.Lamp.Echo","org.example":{"hurry":true}}',
      ' {\n"method" : "org.example.Lamp.Echo", "parameters":null, "more":null, "oneway":false }\n',
    ];
    one.raw.end(calls.map((call) => `${call}\0`).join(''));
    const invalid = (parameter: string) =>
      `{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"${parameter}"}}`;
    assert.deepEqual((await readAll(one.raw)).split('\0'), [
      '{"parameters":{"value":{"__proto__":{"a":1},"constructor":2}}}',
      '{"parameters":{"value":2}}',
      invalid('to'),
      invalid('to'),
      invalid('to'),
      '{"parameters":{"value":null}}',
      '{"parameters":{}}',
      '{"parameters":{}}',
      '',
    ]);
    assert.equal(Object.hasOwn(Object.prototype, 'a'), false);
  });

  test('calls in crumbs of any size give the same answers', async () => {
    const calls = [echo('ä'), echo({ a: [1] }), echo(null)].join('');
    const answers =
      '{"parameters":{"value":"ä"}}\0{"parameters":{"value":{"a":[1]}}}\0{"parameters":{"value":null}}\0';
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), async (sizes) => {
        await using one = attack();
        const bytes = Buffer.from(calls);
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          one.raw.write(bytes.subarray(at, at + size));
          at += size;
        }
        one.raw.end();
        assert.equal(await readAll(one.raw), answers);
      }),
      { numRuns: 50 },
    );
  });

  test('a client that has ended its side is answered, and its method is not told that it is gone', async () => {
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using service = listening(directory, { seen });
    const client = await VarlinkClient.connect(service.path);
    await client[Symbol.asyncDispose]();
    const raw = await connectRaw(service.path);
    raw.end(`${echo(1)}{"method":"org.example.Lamp.Wait"}\0`);
    await until(() => seen.waiting === 1);
    await sleep(20);
    assert.deepEqual(seen.aborted, []);
    raw.destroy();
    await until(() => seen.aborted.length === 1 && service.server.connections === 0);
  });
});

describe('limits', () => {
  test('200 MB without an end are not held', async () => {
    await using one = attack();
    const before = process.memoryUsage().rss;
    const chunk = Buffer.alloc(1024 ** 2, 'x');
    one.raw.resume();
    let ended = false;
    const end = gone(one.raw).then(() => {
      ended = true;
    });
    for (let megabytes = 0; megabytes < 200 && !ended; megabytes += 1) {
      const drained = new Promise((resolve) => one.raw.once('drain', resolve));
      if (!one.raw.write(chunk)) await Promise.race([drained, end]);
    }
    await end;
    await until(() => one.server.connections === 0);
    assert.ok(process.memoryUsage().rss - before < 60 * 1024 ** 2);
  });

  test('a thousand connections: those beyond the limit are closed, the others served', async () => {
    const before = openDescriptors();
    {
      await using service = listening(directory, { limits: { connections: 300, connectionsPerUser: 200 } });
      const clients = await Promise.all(
        Array.from({ length: 1000 }, () => VarlinkClient.connect(service.path)),
      );
      const results = await Promise.allSettled(
        clients.map((client) => client.call('org.example.Lamp.Echo', { value: 1 })),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 200);
      for (const result of results) {
        if (result.status === 'rejected') assert.ok(result.reason instanceof VarlinkClosedError);
      }
      assert.equal(service.server.connections, 200);
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
      await until(() => service.server.connections === 0);
      const again = await VarlinkClient.connect(service.path);
      await again.call('org.example.Lamp.Echo', { value: 1 });
      await again[Symbol.asyncDispose]();
    }
    assert.equal(openDescriptors(), before);
  });

  test('without a descriptor left, connections wait until there are some again', async () => {
    const path = join(directory, 'crowded');
    const program = asset('build', 'test', 'varlink', 'fixtures', 'lamp-service.cjs');
    const service = spawn('sh', ['-c', 'ulimit -n 60; exec "$@"', 'sh', process.execPath, program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve) => service.stdout.once('data', resolve));
      const clients = await Promise.all(Array.from({ length: 120 }, () => VarlinkClient.connect(path)));
      let served = 0;
      const calls = clients.map(async (client) => {
        await client.call('org.example.Lamp.Echo', { value: 1 });
        served += 1;
      });
      await calls[0];
      // Longer than the rest that the service takes.
      await sleep(300);
      assert.ok(served < 60);
      let closed = 0;
      const close = calls.map(async (call, index) => {
        await call;
        await clients[index]?.[Symbol.asyncDispose]();
        closed += 1;
      });
      await Promise.all(close);
      assert.equal(closed, 120);
    } finally {
      service.kill('SIGKILL');
    }
  });

  test('calls wait in the socket when there are many, and all are answered in order', async () => {
    await using one = attack({ limits: { pendingCalls: 3 } });
    for (let value = 0; value < 5000; value += 1) one.raw.write(echo(value));
    one.raw.end();
    const answers = (await readAll(one.raw)).split('\0').slice(0, -1);
    assert.deepEqual(
      answers,
      Array.from({ length: 5000 }, (_, value) => `{"parameters":{"value":${value}}}`),
    );
  });

  test('a client that vanishes behind many calls is noticed by the method that waits', async () => {
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using one = attack({ seen, limits: { pendingCalls: 2 } });
    one.raw.write('{"method":"org.example.Lamp.Count","parameters":{"to":3,"wait":true},"more":true}\0');
    for (let value = 0; value < 100; value += 1) one.raw.write(echo(value));
    await until(() => seen.waiting === 1);
    one.raw.destroy();
    await until(() => seen.aborted.length === 1 && one.server.connections === 0);
    assert.ok(seen.aborted[0] instanceof VarlinkClosedError);
  });

  test('a client that reads nothing is closed, and does not hold the others up', async () => {
    await using one = attack({ limits: { sendTimeout: 100 } });
    one.raw.pause();
    one.raw.write('{"method":"org.example.Lamp.Count","parameters":{"to":1000000},"more":true}\0');
    await until(() => one.server.connections === 0);
  });

  test('a method that does not wait for its replies to be read fills no memory', async () => {
    const server = lampServer({
      limits: { unsent: 100_000 },
      interfaces: [
        {
          description: 'interface org.example.Flood method Flood() -> (text: string)',
          methods: {
            async Flood({ reply, signal }) {
              const text = 'x'.repeat(10_000);
              for (let count = 0; count < 1000; count += 1) {
                reply({ text }, { continues: true }).catch(() => {});
              }
              assert.ok(signal.aborted);
              assert.ok(far.writableLength < 200_000);
            },
          },
        },
      ],
    });
    const [raw, far] = streams();
    server.accept(far, null);
    raw.pause();
    raw.write('{"method":"org.example.Flood.Flood","more":true}\0');
    await until(() => server.connections === 0);
    raw.destroy();
    await server[Symbol.asyncDispose]();
  });

  test('a message that does not end in time, and a client that never calls, are closed', async () => {
    await using slow = attack({ limits: { messageTimeout: 50 } });
    slow.raw.write(echo(1));
    slow.raw.write('{"meth');
    assert.equal(await readAll(slow.raw), '{"parameters":{"value":1}}\0');
    await using idle = attack({ limits: { idleTimeout: 50 } });
    assert.equal(await readAll(idle.raw), '');
    await until(() => slow.server.connections + idle.server.connections === 0);
  });

  test('messages that each begin in time may follow each other for longer than one may take', async () => {
    await using one = attack({ limits: { messageTimeout: 300 } });
    let text = '';
    one.raw.on('data', (chunk) => {
      text += String(chunk);
    });
    const call = echo(1);
    one.raw.write(call.slice(0, 5));
    for (let count = 1; count <= 20; count += 1) {
      await sleep(25);
      // The end of one message and the beginning of the next.
      one.raw.write(call.slice(5) + call.slice(0, 5));
    }
    await until(() => text.split('\0').length === 21);
    assert.equal(one.server.connections, 1);
  });

  test('a flood of descriptors ends the connection with all of them closed, also behind calls that wait', async () => {
    const before = openDescriptors();
    const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
    await using one = attack({ seen, limits: { descriptors: 8 } });
    one.raw.write('{"method":"org.example.Lamp.Wait"}\0');
    await until(() => seen.waiting === 1);
    for (let count = 0; count < 20; count += 1) {
      one.raw.sendWithDescriptors(echo(count), [0, 1]).catch(() => {});
    }
    await until(() => one.server.connections === 0 && seen.aborted.length === 1);
    one.raw.destroy();
    await sleep(10);
    assert.ok(openDescriptors() <= before);
  });

  test('descriptors that come without a message are closed with the connection', async () => {
    const before = openDescriptors();
    {
      await using one = attack();
      await one.raw.sendWithDescriptors('{"method":', [0, 1, 2]);
      await sleep(10);
    }
    assert.equal(openDescriptors(), before);
  });
});

async function connectRaw(path: string): Promise<DescriptorStream> {
  const { connect } = await import('../../src/varlink/connect.ts');
  return connect(path, { timeout: 1000, signal: undefined });
}
