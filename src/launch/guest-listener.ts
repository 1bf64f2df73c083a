import { HostError } from '../errors.ts';
import type { PlannedReadiness } from '../plan/plan.ts';
import { guestAddress } from '../plan/readiness.ts';
import { listenUnix } from '../sys/unix-listener.ts';
import { listenVsock, peerCid } from '../sys/vsock.ts';

/** Where the guest's systemd connects to. */
export interface GuestListener {
  /** Who is given the listener closes it. */
  readonly fd: number;
  /** What the guest is told to connect to. */
  readonly address: string;
  /** Whether the other side of a connection is our guest. Throws SystemCallError. */
  isGuest(fd: number): boolean;
  /**
   * The end of what the guest sends is not to be seen, while its systemd waits for us to close: then a pause is taken for
   * the end. So it is with vhost-device-vsock up to 0.3.0, which keeps to itself that the guest has shut its side down.
   */
  readonly endless: boolean;
}

/** Listens as the plan has it, in a runtime directory that is there; null where there is no vsock. Throws HostError. */
export function listenForGuest(vsock: PlannedReadiness['vsock']): GuestListener | null {
  if (vsock === null) return null;
  if (vsock.kind === 'daemon') {
    const listener = listenUnix(vsock.path);
    listener.releaseDescriptor({ close: false });
    // The socket is ours alone, and so is its directory: who connects is the daemon, with the one guest that it has.
    return { fd: listener.fd, address: guestAddress(vsock.port), isGuest: () => true, endless: true };
  }
  try {
    const { fd, port } = listenVsock();
    return {
      fd,
      address: guestAddress(port),
      isGuest: (connection) => peerCid(connection) === vsock.cid,
      endless: false,
    };
  } catch (error) {
    throw new HostError('Nothing can be heard over AF_VSOCK on this host', {
      cause: error,
      hint: 'Use --vsock=no.',
    });
  }
}
