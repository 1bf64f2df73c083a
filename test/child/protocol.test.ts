import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeRequest, RequestParser } from '../../src/child/decode.ts';
import { decodeAnswer, type ExecRequest, encodeRequest, requestMagic } from '../../src/child/protocol.ts';

const word = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !text.includes('\0'));
const limit = fc.oneof(fc.nat(), fc.constant(Infinity));
const requests: fc.Arbitrary<ExecRequest> = fc.record({
  argv: fc.array(word, { maxLength: 20 }).map((words) => ['/bin/program', ...words]),
  environment: fc.dictionary(fc.stringMatching(/^[A-Z_]{1,8}$/), word),
  descriptors: fc.uniqueArray(fc.record({ target: fc.nat(65535), fd: fc.nat() }), {
    selector: ({ target }) => target,
    maxLength: 50,
  }),
  descriptorLimit: fc.option(fc.record({ soft: limit, hard: limit }, { noNullPrototype: true })),
  ownSession: fc.boolean(),
});

test('what is encoded is decoded, whatever the chunks are', () => {
  fc.assert(
    fc.property(requests, fc.infiniteStream(fc.integer({ min: 1, max: 100 })), (request, sizes) => {
      const { message, descriptors } = encodeRequest(request);
      const parser = new RequestParser();
      let state = 'incomplete';
      for (let at = 0; at < message.length; ) {
        assert.equal(state, 'incomplete');
        const size = Number(sizes.next().value);
        state = parser.add(message.subarray(at, at + size));
        at += size;
      }
      assert.equal(state, 'complete');
      const decoded = decodeRequest(parser.message, descriptors.length);
      assert.ok(decoded !== null);
      assert.equal(decoded.path, request.argv[0]);
      assert.deepEqual(
        decoded.argv.map(String),
        request.argv.map((text) => String(Buffer.from(text))),
      );
      assert.deepEqual(
        decoded.environment.map(String),
        Object.entries(request.environment).map(([name, value]) => String(Buffer.from(`${name}=${value}`))),
      );
      assert.deepEqual(
        decoded.targets,
        request.descriptors.map(({ target }) => target),
      );
      assert.deepEqual(
        descriptors,
        request.descriptors.map(({ fd }) => fd),
      );
      assert.deepEqual(decoded.descriptorLimit, request.descriptorLimit);
      assert.equal(decoded.ownSession, request.ownSession);
    }),
  );
});

test('bytes that somebody changed are refused or read within their bounds', () => {
  fc.assert(
    fc.property(requests, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1 }), (request, changes) => {
      const { message, descriptors } = encodeRequest(request);
      for (const [at, value] of changes) message[at % message.length] = value;
      const parser = new RequestParser();
      if (parser.add(message) === 'complete') decodeRequest(parser.message, descriptors.length);
    }),
  );
});

test('answers that are none are told from those that are', () => {
  const answer = Buffer.from('VMSA\x04\0\0\0\x02\0\0\0', 'latin1');
  assert.deepEqual(decodeAnswer(answer), { stage: 'execve', errno: 2 });
  assert.equal(decodeAnswer(answer.subarray(1)), null);
  assert.equal(decodeAnswer(Buffer.alloc(0)), null);
  answer.writeUInt32LE(99, 4);
  assert.equal(decodeAnswer(answer), null);
  answer.writeUInt32LE(requestMagic, 0);
  assert.equal(decodeAnswer(answer), null);
});
