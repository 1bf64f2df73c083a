import { closeSync, readSync } from 'node:fs';
import { setNonBlocking } from './descriptors.ts';
import { codeOf } from './error-code.ts';
import { inPoll, koffi, type PollHandle } from './koffi.ts';

const READ_SIZE = 16 * 1024;
/** Reads that empty the largest pipe that an ordinary user can have (1 MiB): whoever still writes cannot hold us up. */
const DRAIN = 64;
/** Reads in a row before others get a turn. */
const BURST = 16;

/** Reads a pipe as it fills. Disposal closes it. */
export interface PipeReader extends Disposable {
  /** Reads what is in the pipe now, without waiting: for after the writer has ended. */
  drain(): void;
  /** Settles when all writers are gone, or at disposal. */
  readonly ended: Promise<void>;
}

/** Readers that are open: a poll handle that is collected stops polling. */
const open = new Set<PipeReader>();

/**
 * Calls `receive` with what arrives in a pipe; takes the descriptor over. In place of fs.read, whose blocked thread
 * hangs process.exit, and of net.Socket, which touches process.stderr and so makes the user's terminal non-blocking.
 * Does not keep the event loop alive. Throws SystemCallError. `receive` must not throw.
 */
export function readPipe(fd: number, receive: (chunk: Buffer) => void): PipeReader {
  setNonBlocking(fd);
  let handle: PollHandle | undefined;
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const read = (limit: number) => {
    for (let turn = 0; turn < limit && handle !== undefined; turn += 1) {
      const buffer = Buffer.allocUnsafe(READ_SIZE);
      let length: number;
      try {
        length = readSync(fd, buffer, 0, READ_SIZE, null);
      } catch (error) {
        const code = codeOf(error);
        if (code === 'EAGAIN') return;
        if (code === 'EINTR') continue;
        length = 0;
      }
      if (length === 0) reader[Symbol.dispose]();
      else receive(buffer.subarray(0, length));
    }
  };
  const reader: PipeReader = {
    ended,
    drain: () => read(DRAIN),
    [Symbol.dispose]() {
      if (handle === undefined) return;
      handle.close();
      handle = undefined;
      open.delete(reader);
      closeSync(fd);
      end();
    },
  };
  handle = koffi().node.poll(fd, { readable: true, disconnect: true }, () => {
    inPoll(() => read(BURST));
  });
  handle.unref();
  open.add(reader);
  return reader;
}
