import type { Duplex } from 'node:stream';

/**
 * Destroys a stream and waits until it has closed: for disposal, since that of Node takes a side that was never ended for
 * an error.
 */
export async function closeStream(stream: Duplex): Promise<void> {
  if (stream.closed) return;
  await new Promise<void>((resolve) => {
    stream.once('close', resolve);
    stream.destroy();
  });
}
