import { createServer } from 'node:net';
import { DisposalStack } from '../disposal.ts';
import { HostError } from '../errors.ts';
import { portInWords } from '../plan/network.ts';
import type { ForwardedPort } from '../settings/settings.ts';
import { codeOf } from '../sys/error-code.ts';

/**
 * Whether QEMU will be able to listen on the host's side of the forwarded ports: all are bound at a time, as QEMU does it
 * (SO_REUSEADDR for TCP, not for UDP), and given back. Throws HostError naming the option.
 */
export async function checkPorts(ports: readonly ForwardedPort[]): Promise<void> {
  await using bound = new DisposalStack();
  for (const port of ports) {
    try {
      bound.defer(port.protocol === 'tcp' ? await listen(port) : await bind(port));
    } catch (error) {
      throw portError(port, error);
    }
  }
}

/** Both give what takes it back. */
type Bound = () => Promise<void>;

async function listen({ address, host }: ForwardedPort): Promise<Bound> {
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port: host, exclusive: true }, resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** Loaded only where it is needed. */
async function bind({ address, host }: ForwardedPort): Promise<Bound> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address, port: host, exclusive: true }, resolve);
    });
  } catch (error) {
    // Unlike that of a server, its descriptor stays open.
    socket.close();
    throw error;
  }
  return () => new Promise((resolve) => socket.close(resolve));
}

function portError(port: ForwardedPort, cause: unknown): HostError {
  const option = `--port=${portInWords(port)}`;
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return new HostError(`${option} cannot be had: port ${port.host} of ${port.address} is in use`, {
        hint: `Choose another port of the host; "ss -lnp${port.protocol === 'tcp' ? 't' : 'u'}" shows who has it.`,
      });
    case 'EADDRNOTAVAIL':
      return new HostError(`${option} cannot be had: ${port.address} is no address of this host`, {
        hint: 'Choose 127.0.0.1, 0.0.0.0 or one that "ip address" shows.',
      });
    case 'EACCES':
      return new HostError(`${option} cannot be had: this user may not listen on port ${port.host}`, {
        hint: 'Choose a port of the host from 1024 on.',
      });
    default:
      return new HostError(`${option} cannot be had`, { cause });
  }
}
