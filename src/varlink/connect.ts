import { setTimeout as sleep } from 'node:timers/promises';
import { VarlinkConnectError, VarlinkTimeoutError } from './errors.ts';
import { connectUnix, DescriptorStream, PathTooLongError, SystemCallError } from './unix.ts';

/** Milliseconds between two tries while the service's queue of connections is full. */
const PAUSE = 20;
/** Descriptors in one message of the kernel; a reply has few. */
const DESCRIPTORS = 253;

/** See VarlinkClient.connect. */
export async function connect(
  address: string,
  { timeout, signal }: { timeout: number; signal: AbortSignal | undefined },
): Promise<DescriptorStream> {
  const path = address.startsWith('unix:') ? address.slice('unix:'.length) : address;
  const deadline = performance.now() + timeout;
  for (;;) {
    signal?.throwIfAborted();
    const fd = attempt(path);
    // What the peer said last is read although it is gone when we write.
    if (fd !== null) return new DescriptorStream(fd, { maximumPending: DESCRIPTORS, ignoreClosedPeer: true });
    if (performance.now() >= deadline) {
      throw new VarlinkTimeoutError(`${path} took no connection within ${timeout / 1000} s`);
    }
    await sleep(PAUSE, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

function attempt(path: string): number | null {
  try {
    return connectUnix(path);
  } catch (error) {
    if (error instanceof PathTooLongError)
      throw new VarlinkConnectError(path, 'ENAMETOOLONG', { cause: error });
    if (error instanceof SystemCallError) throw new VarlinkConnectError(path, error.code, { cause: error });
    throw error;
  }
}
