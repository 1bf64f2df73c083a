import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { childCommand, type Flavour } from '../../src/child/child-program.ts';
import { listenUnix } from '../../src/sys/unix-listener.ts';

const directory = mkdtempSync(join(tmpdir(), 'vmspawn-test-'));
after(() => rmSync(directory, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly stderr: string;
}

function stop(flavour: Flavour, path: string): { ended: Promise<Outcome>; running(): boolean } {
  const [program, ...words] = childCommand(flavour, ['stop', path]);
  const child = spawn(program, words, { stdio: ['ignore', 'inherit', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (code) => resolve({ code, stderr }));
  });
  return { ended, running: () => child.exitCode === null && child.signalCode === null };
}

async function listen(path: string): Promise<Server> {
  const server = createServer();
  server.listen(path);
  await once(server, 'listening');
  return server;
}

/** The whole message that the peer sends, without its NUL. */
function message(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (data) => {
      text += data;
      if (text.endsWith('\0')) resolve(text.slice(0, -1));
    });
  });
}

const succeeded: Outcome = { code: 0, stderr: '' };

for (const flavour of ['native', 'node'] as const) {
  test(`${flavour}: it asks for the power-off, and ends when the connection is closed`, async () => {
    const path = join(directory, `${flavour}-control`);
    const server = await listen(path);
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const { ended, running } = stop(flavour, path);
    const [socket] = await connected;
    assert.deepEqual(JSON.parse(await message(socket)), {
      method: 'io.systemd.MachineInstance.PowerOff',
      parameters: {},
    });
    // More than it reads at once; with an error it waits as well.
    socket.write(
      `{"parameters":{"text":"${'x'.repeat(1000)}"}}\0{"error":"io.systemd.MachineInstance.NotConnected"}\0`,
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(running());
    socket.end();
    assert.deepEqual(await ended, succeeded);
    server.close();
  });

  test(`${flavour}: a supervisor that dies in the middle is an end as well`, async () => {
    const path = join(directory, `${flavour}-dies`);
    const server = await listen(path);
    const connected = once(server, 'connection') as Promise<[Socket]>;
    const { ended } = stop(flavour, path);
    const [socket] = await connected;
    // Closed with bytes that nobody has read: the other side gets ECONNRESET.
    await once(socket, 'readable');
    socket.destroy();
    assert.deepEqual(await ended, succeeded);
    server.close();
  });

  test(`${flavour}: without a socket, or with nobody behind it, there is nothing to do`, async () => {
    assert.deepEqual(await stop(flavour, join(directory, 'missing', 'control')).ended, succeeded);
    const path = join(directory, `${flavour}-refused`);
    {
      await using listener = listenUnix(path);
      // The path stays: a socket whose listener has been killed.
      listener.releaseDescriptor();
      assert.deepEqual(await stop(flavour, path).ended, succeeded);
    }
  });

  test(`${flavour}: what is wrong otherwise is said, with exit status 1`, async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const long = join(directory, 'x'.repeat(108 - Buffer.byteLength(directory) - 1));
    assert.equal(Buffer.byteLength(long), 108);
    for (const [path, reason] of [
      [join(file, 'control'), /ENOTDIR|Not a directory/],
      [long, /107/],
      ['', /path/],
    ] as const) {
      const { code, stderr } = await stop(flavour, path).ended;
      assert.equal(code, 1, path);
      assert.match(stderr, /^vmspawn-child: the machine's control socket .*\n$/);
      assert.match(stderr, reason);
    }
  });

  test(`${flavour}: a path of 107 bytes is met`, async () => {
    const path = join(directory, 'y'.repeat(107 - Buffer.byteLength(directory) - 1));
    const server = await listen(path);
    server.on('connection', (socket) => socket.end());
    assert.deepEqual(await stop(flavour, path).ended, succeeded);
    server.close();
  });
}
