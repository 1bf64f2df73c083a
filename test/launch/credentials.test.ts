import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileError, InterruptedError } from '../../src/errors.ts';
import { findCredentials } from '../../src/host/credentials.ts';
import { readCredentials } from '../../src/launch/credentials.ts';
import type { CredentialSource, PlannedDescriptor } from '../../src/plan/plan.ts';
import { temporaryDirectory } from '../guests.ts';

const never = new AbortController().signal;
const prefix = 'io.systemd.credential.binary:x=';

function memory(source: CredentialSource, encoding: 'plain' | 'base64' = 'plain'): PlannedDescriptor {
  return {
    kind: 'memory',
    target: 5,
    what: 'Credential x',
    prefix: encoding === 'plain' ? '' : prefix,
    encoding,
    source,
  };
}

async function content(source: CredentialSource, encoding?: 'plain' | 'base64'): Promise<string> {
  const made = { 'notify-address': 'vsock-stream:2:7' } as const;
  const contents = await readCredentials([memory(source, encoding)], made, never);
  return Buffer.from(contents.get(5) ?? []).toString('latin1');
}

/** A server that does `answer` with each connection. */
async function serve(path: string, answer: (socket: Socket) => void): Promise<Disposable> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { [Symbol.dispose]: () => void server.close() };
}

test('values come from text, files, sockets and the run itself, encoded as their way wants it', async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, 'file');
  writeFileSync(file, Buffer.from([0, 255, 10]));
  const socket = join(directory.path, 'socket');
  using _server = await serve(socket, (connection) => connection.end('over a socket'));
  assert.equal(await content({ kind: 'text', text: '\u00e4' }, 'base64'), `${prefix}w6Q=`);
  assert.equal(await content({ kind: 'secret', base64: 'AP8=' }), '\0\xff');
  const parts: readonly CredentialSource[] = [
    { kind: 'socket', path: socket },
    { kind: 'file', path: file },
    { kind: 'text', text: '\nlast\n' },
  ];
  assert.equal(await content({ kind: 'joined', parts }), 'over a socket\0\xff\n\nlast\n');
  assert.equal(await content({ kind: 'joined', parts: parts.slice(1) }, 'base64'), `${prefix}AP8KCmxhc3QK`);
  assert.equal(await content({ kind: 'secret', base64: 'AP8=' }, 'base64'), `${prefix}AP8=`);
  assert.equal(await content({ kind: 'file', path: file }, 'base64'), `${prefix}AP8K`);
  assert.equal(await content({ kind: 'socket', path: socket }), 'over a socket');
  assert.equal(await content({ kind: 'made', what: 'notify-address' }), 'vsock-stream:2:7');
});

test('1 MiB is a credential, more is not', async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, 'file');
  writeFileSync(file, Buffer.alloc(1024 ** 2));
  assert.equal((await content({ kind: 'file', path: file })).length, 1024 ** 2);
  writeFileSync(file, Buffer.alloc(1024 ** 2 + 1));
  await assert.rejects(content({ kind: 'file', path: file }), /Credential x has more than 1 MiB/);
  const socket = join(directory.path, 'socket');
  using _server = await serve(socket, (connection) => {
    // It never stops by itself.
    const send = () => {
      while (!connection.destroyed && connection.write(Buffer.alloc(64 * 1024)));
    };
    connection.on('drain', send);
    send();
  });
  await assert.rejects(content({ kind: 'socket', path: socket }), /Credential x has more than 1 MiB/);
});

test('more than SMBIOS tables hold is refused as soon as it is known', async () => {
  const base64 = (length: number) => Buffer.alloc(length).toString('base64');
  await content({ kind: 'secret', base64: base64(44_000) }, 'base64');
  await assert.rejects(content({ kind: 'secret', base64: base64(45_000) }, 'base64'), /room for 60000/);
});

test('what comes over sockets counts in the sum', async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'socket');
  let length = 0;
  using _server = await serve(path, (connection) => connection.end(Buffer.alloc(length)));
  const socket = memory({ kind: 'socket', path });
  const half = {
    ...memory({ kind: 'secret', base64: Buffer.alloc(1024 ** 2 / 2).toString('base64') }),
    target: 6,
  };
  length = 1024 ** 2 / 2;
  assert.equal((await readCredentials([socket, half], {}, never)).size, 2);
  length += 1;
  await assert.rejects(readCredentials([socket, half], {}, never), {
    code: 'USAGE',
    message: 'The credentials have 1048577 bytes in sum, systemd in the guest takes 1 MiB',
  });
  // SMBIOS tables have less room, which strings of the user take, too.
  const string = {
    ...memory({ kind: 'secret', base64: Buffer.alloc(50_000).toString('base64') }),
    target: 6,
  };
  length = 7_000;
  await readCredentials([memory({ kind: 'socket', path }, 'base64'), string], {}, never);
  length = 8_000;
  await assert.rejects(
    readCredentials([memory({ kind: 'socket', path }, 'base64'), string], {}, never),
    /^UsageError: Credentials and SMBIOS strings take 60\d\d\d bytes in the SMBIOS tables/,
  );
});

test('what is gone, or is no file, is named', async () => {
  using directory = temporaryDirectory();
  for (const source of [
    { kind: 'file', path: join(directory.path, 'missing') },
    { kind: 'file', path: directory.path },
    { kind: 'file', path: '/dev/zero' },
    { kind: 'socket', path: join(directory.path, 'missing') },
  ] as const) {
    await assert.rejects(content(source), (error) => {
      assert.ok(error instanceof FileError);
      assert.equal(error.message, `Credential x (--load-credential=) cannot be read from ${source.path}`);
      return true;
    });
  }
});

test('a socket that says nothing holds a start up only until it is given up', async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'socket');
  const start = new AbortController();
  using _server = await serve(path, () => start.abort(new Error('SIGINT received')));
  await assert.rejects(
    readCredentials([memory({ kind: 'socket', path })], {}, start.signal),
    InterruptedError,
  );
});

test('one that is refused ends the reading of the others', { timeout: 60_000 }, async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'socket');
  const gone = new Promise<void>((resolve, reject) => {
    // The first word to somebody who has gone is refused by the kernel.
    const server = createServer({ allowHalfOpen: true }, (connection) => {
      const timer = setInterval(() => connection.write('.'), 5);
      connection.on('error', () => clearInterval(timer));
      connection.on('close', () => server.close(() => resolve()));
    }).on('error', reject);
    server.listen(path);
  });
  const missing = join(directory.path, 'missing');
  await assert.rejects(
    readCredentials([memory({ kind: 'socket', path }), memory({ kind: 'file', path: missing })], {}, never),
    { code: 'FILE', message: `Credential x (--load-credential=) cannot be read from ${missing}` },
  );
  await gone;
});

test('a bare name is looked for with the own credentials first, then in the stores', async () => {
  using directory = temporaryDirectory();
  const [own, first, second] = ['own', 'first', 'second'].map((name) => join(directory.path, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [own, first, second]) {
    mkdirSync(path);
    writeFileSync(join(path, 'a'), 'abc');
  }
  const find = (path: string, environment = {}) =>
    findCredentials([{ name: 'x', source: { kind: 'load', path } }], environment, [first, second])[0];
  assert.deepEqual(find('a', { CREDENTIALS_DIRECTORY: own }), {
    name: 'x',
    kind: 'file',
    path: join(own, 'a'),
    size: 3,
  });
  assert.equal(find('a')?.path, join(first, 'a'));
  unlinkSync(join(first, 'a'));
  assert.equal(find('a', { CREDENTIALS_DIRECTORY: 'relative' })?.path, join(second, 'a'));
  assert.throws(() => find('b'), { message: '--load-credential=x:b names no credential of this host' });
  // One that cannot be looked into, as an ordinary user has it.
  symlinkSync('closed', join(directory.path, 'closed'));
  assert.equal(find('a', { CREDENTIALS_DIRECTORY: join(directory.path, 'closed') })?.path, join(second, 'a'));
  assert.throws(() => find('/missing/b'), FileError);
  assert.throws(() => find(own), { message: `--load-credential=x:${own} is neither a file nor a socket` });
  const socket = join(directory.path, 'socket');
  using _server = await serve(socket, (connection) => connection.end());
  assert.equal(find(socket)?.kind, 'socket');
  assert.deepEqual(findCredentials([{ name: 'y', source: { kind: 'secret' } }], {}), []);
});
