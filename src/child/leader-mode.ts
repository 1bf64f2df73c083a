import { DescriptorStream } from '../sys/descriptor-stream.ts';
import { onEverySignal } from '../sys/every-signal.ts';
import { startSession } from '../sys/exec.ts';
import { setParentDeathSignal } from '../sys/prctl.ts';

/**
 * What leader.h does: tells the number of each signal on descriptor 3, after a 0, and ends with the other side of it or
 * with the supervisor. Only descriptors that we inherited by accident stay open here: Node has its own among them.
 */
export function runLeader(supervisor: number): void {
  setParentDeathSignal('SIGKILL');
  if (process.ppid !== supervisor) process.exit(0);
  startSession();
  // The name of the process (comm) as well as its command line.
  process.title = 'vmspawn-leader';
  const channel = new DescriptorStream(3, { ignoreClosedPeer: true });
  channel.on('close', () => process.exit(0));
  channel.on('end', () => process.exit(0));
  channel.on('error', () => {});
  channel.resume();
  onEverySignal((number) => channel.write(Buffer.of(number)));
  channel.write(Buffer.of(0));
}
