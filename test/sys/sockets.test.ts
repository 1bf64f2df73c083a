import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PathTooLongError, unixAddress } from '../../src/sys/unix-address.ts';
import { listenUnix } from '../../src/sys/unix-listener.ts';

const directory = mkdtempSync(join(tmpdir(), 'vmspawn-test-'));
after(() => rmSync(directory, { recursive: true }));

test('a listener can be served by net, is for its owner only whatever the umask, and leaves no file', async () => {
  const path = join(directory, 'a.sock');
  const umask = process.umask(0);
  const listener = listenUnix(path);
  process.umask(umask);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  listener.releaseDescriptor({ close: false });
  const server = createServer((socket) => socket.end('hello'));
  await new Promise<void>((resolve) => server.listen({ fd: listener.fd }, resolve));
  const text = await new Promise((resolve) => connect(path).on('data', (data) => resolve(String(data))));
  assert.equal(text, 'hello');
  await new Promise((resolve) => server.close(resolve));
  await listener[Symbol.asyncDispose]();
  assert.equal(existsSync(path), false);
});

test('a path that is taken is EADDRINUSE and untouched; a path that became another file is not removed', () => {
  const path = join(directory, 'b.sock');
  const first = listenUnix(path);
  assert.throws(() => listenUnix(path), { code: 'EADDRINUSE' });
  assert.ok(existsSync(path));
  unlinkSync(path);
  writeFileSync(path, 'somebody else');
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.ok(existsSync(path));
});

test('107 bytes are a socket path, 108 are not', () => {
  const longest = `${directory}/`.padEnd(107, 'x');
  listenUnix(longest)[Symbol.dispose]();
  assert.throws(() => listenUnix(`${longest}x`), PathTooLongError);
  assert.throws(() => unixAddress('/a\0b'), TypeError);
  assert.throws(() => unixAddress(''), TypeError);
  assert.deepEqual([...unixAddress('@ab')], [1, 0, 0, 97, 98]);
  assert.deepEqual([...unixAddress('/a')], [1, 0, 47, 97, 0]);
});
