import { DisposalStack, type Owned } from '../disposal.ts';
import { listenUnix } from '../sys/unix-listener.ts';
import { VarlinkServer } from '../varlink/index.ts';
import { ConsoleInterface } from './console-interface.ts';
import type { ControlledMachine } from './machine.ts';
import { machineInstance } from './machine-instance.ts';

/**
 * A machine's control socket: the Varlink service that machined knows as its controlAddress. Disposal closes every
 * connection and removes the socket. To be disposed of when QEMU is gone and not before: whoever has asked for a power-off
 * (the guard of the scope, stop.h) takes the hang-up as the machine's end. Who is attached to the console gets the rest of it
 * meanwhile, as long as they read.
 */
export interface ControlServer extends Owned {
  /** From now on calls are about `machine`. */
  attach(machine: ControlledMachine): void;
}

export interface ControlOptions {
  /** Of the socket, in a directory that exists; at most 107 bytes. Its mode is 0600. */
  readonly path: string;
  /** Of this program. */
  readonly version: string;
  /** What is controlled at first: mostly `startingMachine`. */
  readonly machine: ControlledMachine;
}

/**
 * Serves a machine's control socket, to its own user and root. Throws SystemCallError (EADDRINUSE, ENOENT, ...),
 * PathTooLongError.
 */
export async function serveControl({ path, version, machine }: ControlOptions): Promise<ControlServer> {
  let current = machine;
  await using stack = new DisposalStack();
  const listener = stack.use(listenUnix(path));
  const consoles = stack.use(new ConsoleInterface(() => current));
  const server = stack.use(
    new VarlinkServer({
      vendor: 'vmspawn',
      product: 'vmspawn',
      version,
      url: '',
      interfaces: [machineInstance(() => current), consoles.served],
      authorize: (peer) => mayControl(peer, process.geteuid?.()),
      // The guard says nothing more after its call.
      limits: { idleTimeout: Infinity },
    }),
  );
  server.listen(listener.fd);
  listener.releaseDescriptor({ close: false });
  const owned = stack.move();
  return {
    attach(next) {
      current = next;
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

/** Whether a peer may control the machines of `user`: that user and root may. Without credentials nobody may. */
export function mayControl(peer: { readonly uid: number } | null, user: number | undefined): boolean {
  return peer !== null && (peer.uid === 0 || peer.uid === user);
}
