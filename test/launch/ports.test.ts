import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import type { VmspawnError } from '../../src/errors.ts';
import { checkPorts } from '../../src/launch/ports.ts';
import type { ForwardedPort } from '../../src/settings/settings.ts';

const address = '127.0.0.1';

/** A number that the kernel has just given, and that is free again. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const tcp = (host: number, where = address): ForwardedPort => ({
  protocol: 'tcp',
  address: where,
  host,
  guest: 22,
});
const udp = (host: number): ForwardedPort => ({ ...tcp(host), protocol: 'udp' });

function refused(ports: readonly ForwardedPort[], message: RegExp, hint: RegExp): Promise<void> {
  return assert.rejects(checkPorts(ports), (error: VmspawnError) => {
    assert.equal(error.code, 'HOST');
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
    return true;
  });
}

test('ports that are free are so afterwards too, also with the rest of an old connection', async () => {
  const port = await freePort();
  for (const _ of [1, 2]) await checkPorts([tcp(port), udp(port)]);
  const server = createServer((socket) => socket.end()).listen(port, address);
  await once(server, 'listening');
  // The side that closes first keeps the port in TIME_WAIT.
  const client = connect(port, address).resume();
  await once(client, 'close');
  server.close();
  await once(server, 'close');
  await checkPorts([tcp(port)]);
});

test('a port that somebody has is named with the option, TCP and UDP apart, and the others are given back', async () => {
  const [free, server, socket] = [await freePort(), createServer(), createSocket('udp4')];
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  socket.bind(port, address);
  await once(socket, 'listening');
  const words = (kind: string) =>
    new RegExp(
      `^--port=127\\.0\\.0\\.1:${port}:22${kind} cannot be had: port ${port} of 127.0.0.1 is in use$`,
    );
  await refused([tcp(free), tcp(port)], words(''), /another port.*ss -lnpt/);
  await refused([udp(free), udp(port)], words('/udp'), /ss -lnpu/);
  socket.close();
  await checkPorts([tcp(free), udp(free), udp(port)]);
  server.close();
});

test('two forwarded ports that are one on the host, and an address that is none of it', async () => {
  const port = await freePort();
  await refused([tcp(port, '0.0.0.0'), tcp(port)], /^--port=127\.0\.0\.1:.* is in use$/, /another port/);
  await refused([tcp(port, '192.0.2.1')], /192\.0\.2\.1 is no address of this host$/, /127\.0\.0\.1/);
});
