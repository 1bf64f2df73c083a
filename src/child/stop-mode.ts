import { connect } from 'node:net';
import { writeErr } from '../sys/stdio.ts';
import { unixAddress } from '../sys/unix-address.ts';

const call = { method: 'io.systemd.MachineInstance.PowerOff', parameters: {} };

/**
 * What stop.h does: asks the supervisor that listens on a Unix socket to power its machine off, and waits until it
 * hangs up. Sets the exit status: 0, also when nobody listens; 1 for everything else.
 */
export function runStop(path: string): void {
  try {
    // Longer ones are cut by Node 20, and another socket is met.
    unixAddress(path);
  } catch (error) {
    fail(path, error);
    return;
  }
  const socket = connect(path);
  socket.on('connect', () => socket.write(`${JSON.stringify(call)}\0`));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const gone = ['ENOENT', 'ECONNREFUSED', 'EPIPE', 'ECONNRESET'].includes(error.code ?? '');
    if (!gone) fail(path, error);
  });
  socket.resume();
}

function fail(path: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  writeErr(`vmspawn-child: the machine's control socket ${path}: ${reason}\n`);
  process.exitCode = 1;
}
