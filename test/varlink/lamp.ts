import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { socketpair } from '../../src/sys/socketpair.ts';
import { listenUnix, type UnixListener } from '../../src/sys/unix-listener.ts';
import {
  VarlinkClient,
  VarlinkError,
  type VarlinkInterface,
  VarlinkServer,
  type VarlinkServerLimits,
  type VarlinkServerOptions,
} from '../../src/varlink/index.ts';

export const lampDescription = `# A lamp
interface org.example.Lamp

type Colour (red, green, inherit_it)

type Scene (
  name: string,
  colours: []Colour,
  # Anything
  extra: ?any,
  levels: ?[string]int
)

# What goes in comes out
method Echo(value: ?any) -> (value: ?any)
method Paint(scene: Scene, strength: ?float) -> (scene: Scene)
method Count(to: int, wait: ?bool) -> (number: int)
method Break(kind: string) -> ()
method Open() -> (text: string)
method Read() -> (texts: []string)
method Raw(greeting: string) -> ()
method Wait() -> ()
method Who() -> (pid: int, uid: int)
method Absent() -> ()
error Broken(kind: string)
`;

/** What the methods saw, for tests to look at. */
export interface Seen {
  echoed: unknown[];
  aborted: unknown[];
  waiting: number;
}

export function lamp(
  seen: Seen = { echoed: [], aborted: [], waiting: 0 },
  description = lampDescription,
): VarlinkInterface {
  const untilAborted = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      seen.waiting += 1;
      const ended = () => {
        seen.aborted.push(signal.reason);
        resolve();
      };
      if (signal.aborted) ended();
      else signal.addEventListener('abort', ended, { once: true });
    });
  return {
    description,
    methods: {
      async Echo({ parameters }) {
        seen.echoed.push(parameters['value']);
        return { value: parameters['value'] };
      },
      async Paint({ parameters }) {
        return { scene: parameters['scene'] };
      },
      async Count({ parameters, reply, signal }) {
        const to = Number(parameters['to']);
        for (let number = 1; number < to; number += 1) await reply({ number }, { continues: true });
        if (parameters['wait'] === true) await untilAborted(signal);
        return { number: to };
      },
      async Break({ parameters }) {
        if (parameters['kind'] === 'fault') throw new RangeError('a fault of the lamp');
        throw new VarlinkError('org.example.Lamp.Broken', { kind: parameters['kind'] });
      },
      async Open({ reply }) {
        const fd = openSync('/proc/self/comm', 'r');
        try {
          await reply({ text: readFileSync('/proc/self/comm', 'utf8') }, { descriptors: [fd] });
        } finally {
          closeSync(fd);
        }
      },
      async Read({ descriptors }) {
        return { texts: descriptors.map((fd) => readFileSync(fd, 'utf8')) };
      },
      async Raw({ parameters, takeOver }) {
        const stream = await takeOver();
        stream.write(`${parameters['greeting']}\n`);
        stream.on('data', (chunk: Buffer) => stream.write(chunk.toString().toUpperCase()));
        stream.on('end', () => stream.destroy());
        stream.resume();
      },
      async Wait({ signal }) {
        await untilAborted(signal);
      },
      async Who({ peer }) {
        return { pid: peer?.pid, uid: peer?.uid };
      },
    },
  };
}

export function lampServer(
  options: Partial<VarlinkServerOptions> & { limits?: Partial<VarlinkServerLimits>; seen?: Seen } = {},
): VarlinkServer {
  return new VarlinkServer({
    vendor: 'Example',
    product: 'Lamp',
    version: '1',
    url: 'https://example.org',
    interfaces: [lamp(options.seen)],
    ...options,
  });
}

let made = 0;

/** Two ends of a socket that carries descriptors. */
export function streams(options?: { maximumPending?: number }): [DescriptorStream, DescriptorStream] {
  const [a, b] = socketpair();
  return [
    new DescriptorStream(a, { ignoreClosedPeer: true }),
    new DescriptorStream(b, { ignoreClosedPeer: true, ...options }),
  ];
}

/** A client and a server over a socketpair; both are closed at the end of the test's block. */
export function connected(
  options: Parameters<typeof lampServer>[0] & { timeout?: number } = {},
): { client: VarlinkClient; server: VarlinkServer } & AsyncDisposable {
  const server = lampServer(options);
  const [near, far] = streams({ maximumPending: options.limits?.descriptors ?? 16 });
  server.accept(far, null);
  const client = new VarlinkClient(near, { timeout: options.timeout ?? 10_000 });
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export function listening(
  directory: string,
  options: Parameters<typeof lampServer>[0] = {},
): { path: string; server: VarlinkServer } & AsyncDisposable {
  made += 1;
  const listener: UnixListener = listenUnix(join(directory, `lamp-${made}`), { backlog: 4096 });
  const server = lampServer(options);
  server.listen(listener.fd);
  listener.releaseDescriptor({ close: false });
  return {
    path: listener.path,
    server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Waits until something is so; the test's own time limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
