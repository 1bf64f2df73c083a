import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import {
  VarlinkClient,
  VarlinkClosedError,
  VarlinkError,
  VarlinkProtocolError,
} from '../../src/varlink/index.ts';
import { openDescriptors, streams } from './lamp.ts';

/** A client whose server says what the test lets it say. */
function victim(options?: ConstructorParameters<typeof VarlinkClient>[1]) {
  const [near, raw]: [DescriptorStream, DescriptorStream] = streams();
  raw.on('error', () => {});
  const client = new VarlinkClient(near, options);
  return {
    client,
    raw,
    async [Symbol.asyncDispose]() {
      raw.destroy();
      await client[Symbol.asyncDispose]();
    },
  };
}

describe('replies that are none end the connection and all calls', () => {
  const bad: Record<string, string | Buffer> = {
    'no JSON': 'hello\0',
    'no object': '"hello"\0',
    'bad UTF-8': Buffer.from([...Buffer.from('{"error":"'), 0xff, ...Buffer.from('"}'), 0]),
    'an unknown member': '{"parameter":{}}\0',
    'parameters that are no object': '{"parameters":"x"}\0',
    'an error that is no text': '{"error":{}}\0',
    'an error that continues': '{"error":"a.b.C","continues":true}\0',
    'more than was asked for': '{"continues":true}\0',
    '100,000 brackets': `{"parameters":{"a":${'['.repeat(100_000)}\0`,
    'a long one': Buffer.alloc(2_000_000, 'x'),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    test(name, async () => {
      await using one = victim({ limits: { message: 1_000_000 } });
      const calls = [one.client.call('a.b.C'), one.client.call('a.b.D')];
      one.raw.write(bytes);
      for (const call of calls) await assert.rejects(call, VarlinkProtocolError);
      assert.ok((await one.client.closed) instanceof VarlinkProtocolError);
      await assert.rejects(one.client.call('a.b.C'), VarlinkProtocolError);
    });
  }
});

test('a reply that nobody asked for ends the connection', async () => {
  await using one = victim();
  one.raw.write('{}\0');
  assert.ok((await one.client.closed) instanceof VarlinkProtocolError);
});

test('the names of prototypes are names like others', async () => {
  await using one = victim();
  const call = one.client.call('a.b.C');
  one.raw.write('{"parameters":{"__proto__":{"x":1},"constructor":1},"org.example":{}}\0');
  const { parameters } = await call;
  assert.deepEqual(Object.keys(parameters), ['__proto__', 'constructor']);
  assert.equal(parameters['x'], undefined);
  const failing = one.client.call('a.b.C');
  one.raw.write('{"error":"constructor"}\0');
  await assert.rejects(failing, (error) => error instanceof VarlinkError && error.error === 'constructor');
});

test('a server that goes away in the middle of a message or of a stream', async () => {
  await using one = victim();
  const replies = one.client.more('a.b.C');
  one.raw.end('{"continues":true,"parameters":{"n":1}}\0{"conti');
  assert.deepEqual((await replies.next()).value, { parameters: { n: 1 }, descriptors: [] });
  await assert.rejects(replies.next(), /in the middle of a message/);
  assert.ok((await one.client.closed) instanceof VarlinkClosedError);
});

test('a stream that nobody reads is not read from the socket either', async () => {
  await using one = victim();
  const replies = one.client.more('a.b.C');
  const first = replies.next();
  const reply = `{"continues":true,"parameters":{"text":"${'x'.repeat(10_000)}"}}\0`;
  for (let count = 0; count < 2000; count += 1) one.raw.write(reply);
  await first;
  await sleep(50);
  assert.ok(one.raw.writableLength > 15_000_000, 'most of it waits at the sender');
  let count = 1;
  for await (const _ of replies) {
    count += 1;
    if (count === 2000) break;
  }
  assert.equal(await one.client.closed, null);
});

test('descriptors of replies that nobody takes are closed', async () => {
  const before = openDescriptors();
  {
    await using one = victim({ timeout: 20 });
    await assert.rejects(one.client.call('a.b.C'));
    await one.raw.sendWithDescriptors('{}\0', [0, 1]);
    const failing = one.client.call('a.b.C', {}, { timeout: 10_000 });
    await one.raw.sendWithDescriptors('{"error":"a.b.Failed"}\0', [0, 1]);
    await assert.rejects(failing, VarlinkError);
    const replies = one.client.more('a.b.C', {}, { timeout: 10_000 });
    const first = replies.next();
    await one.raw.sendWithDescriptors('{"continues":true}\0', []);
    await first;
    await one.raw.sendWithDescriptors('{"continues":true}\0', [0]);
    await sleep(10);
    await replies.return();
    assert.equal(await one.client.closed, null);
  }
  assert.equal(openDescriptors(), before);
});

test('what the server said last is read although it is gone when the next call is written', async () => {
  await using one = victim();
  const call = one.client.call('a.b.C');
  one.raw.end('{"parameters":{"n":1}}\0');
  one.raw.destroy();
  await new Promise((resolve) => one.raw.once('close', resolve));
  const late = one.client.call('a.b.D');
  assert.deepEqual((await call).parameters, { n: 1 });
  await assert.rejects(late, VarlinkClosedError);
});
