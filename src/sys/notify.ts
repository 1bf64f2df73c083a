import { sendDatagram } from './datagram.ts';

/**
 * Tells the service manager about us (sd_notify(3)): one datagram with all lines, to a path or an abstract `@name`, as
 * $NOTIFY_SOCKET has it. Throws SystemCallError, PathTooLongError; EAGAIN when the manager takes nothing for a second.
 */
export function notifyManager(address: string, lines: readonly string[]): void {
  sendDatagram(address, Buffer.from(lines.join('\n')));
}
