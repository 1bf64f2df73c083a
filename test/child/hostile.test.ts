import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeAnswer, encodeRequest } from '../../src/child/protocol.ts';
import { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { socketpair } from '../../src/sys/socketpair.ts';

const good = encodeRequest({
  argv: ['/bin/true', 'word'],
  environment: { NAME: 'value' },
  descriptors: [{ target: 7, fd: 0 }],
  descriptorLimit: null,
  ownSession: false,
}).message;

function changed(change: (message: Buffer) => void): Buffer {
  const message = Buffer.from(good);
  change(message);
  return message;
}

const programs = {
  native: ['dist/vmspawn-child'],
  node: [process.execPath, 'dist/child.cjs'],
};

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  /** The last answer, `stage: errno`. */
  readonly answer: string;
}

/** Sends a message to a child as it is, closes our sending side if told, and waits for the end. */
async function feed(
  flavour: keyof typeof programs,
  message: Buffer,
  { descriptors = [0], close = false }: { descriptors?: number[]; close?: boolean } = {},
): Promise<Outcome> {
  const [ours, theirs] = socketpair();
  const [program = '', ...words] = programs[flavour];
  const child = spawn(program, [...words, String(process.pid)], {
    stdio: ['ignore', 'ignore', 'ignore', theirs],
  });
  closeSync(theirs);
  const closed = new Promise<[number | null, string | null]>((resolve) =>
    child.once('close', (code, signal) => resolve([code, signal])),
  );
  await using channel = new DescriptorStream(ours);
  const answers: Buffer[] = [];
  channel.on('data', (data) => answers.push(data));
  channel.on('error', () => {});
  if (message.length > 0) await channel.sendWithDescriptors(message, descriptors);
  if (close) channel.end();
  const [code, signal] = await closed;
  await new Promise((resolve) => setImmediate(resolve));
  const answer = decodeAnswer(Buffer.concat(answers).subarray(-12));
  return { code, signal, answer: answer === null ? '' : `${answer.stage}: ${answer.errno}` };
}

const refused: Outcome = { code: 126, signal: null, answer: 'reading the request: 71' };

for (const flavour of ['native', 'node'] as const) {
  test(`${flavour}: a good message runs the program`, async () => {
    assert.deepEqual(await feed(flavour, good), { code: 0, signal: null, answer: 'executing: 0' });
  });

  test(`${flavour}: a malformed message is refused with EPROTO and exit status 126`, async () => {
    const cases: [string, Buffer, number[]?][] = [
      ['magic', changed((message) => message.write('HTTP'))],
      ['version', changed((message) => message.writeUInt32LE(2, 4))],
      ['length beyond the limit', changed((message) => message.writeUInt32LE(0xffffffff, 8))],
      ['length below the header', changed((message) => message.writeUInt32LE(47, 8))],
      ['huge argc', changed((message) => message.writeUInt32LE(0xffffffff, 16))],
      ['argc beyond the strings', changed((message) => message.writeUInt32LE(60000, 16))],
      ['no argv', changed((message) => message.writeUInt32LE(0, 16))],
      ['huge envc', changed((message) => message.writeUInt32LE(0xffffffff, 20))],
      ['huge number of descriptors', changed((message) => message.writeUInt32LE(0x40000001, 24))],
      ['more descriptors than came', changed((message) => message.writeUInt32LE(2, 24))],
      ['fewer descriptors than came', good, [0, 0]],
      ['target out of range', changed((message) => message.writeUInt32LE(0xffffffff, 48))],
      ['reserved word', changed((message) => message.writeUInt32LE(1, 28))],
      ['no final NUL', changed((message) => message.write('x', message.length - 1))],
      ['no absolute path', changed((message) => message.write('x', 52))],
    ];
    for (const [name, message, descriptors] of cases) {
      const outcome = await feed(flavour, message, descriptors === undefined ? {} : { descriptors });
      assert.deepEqual(outcome, refused, name);
    }
  });

  test(`${flavour}: a message that breaks off is the supervisor going away`, async () => {
    for (const length of [0, 1, 47, 48, 50, good.length - 1]) {
      const outcome = await feed(flavour, good.subarray(0, length), { close: true });
      assert.deepEqual(outcome, { code: 125, signal: null, answer: '' }, `${length} bytes`);
    }
  });
}

test('native: no change of bytes crashes the child', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      async (changes) => {
        const message = changed((bytes) => {
          for (const [at, value] of changes) bytes[at] = value;
        });
        const outcome = await feed('native', message, { close: true });
        assert.equal(outcome.signal, null);
        assert.ok([0, 125, 126, 127].includes(outcome.code ?? -1), `exit status ${outcome.code}`);
      },
    ),
    { numRuns: 100 },
  );
});
