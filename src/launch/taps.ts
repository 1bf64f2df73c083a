import { closeSync, existsSync } from 'node:fs';
import { HostError } from '../errors.ts';
import type { PlannedDescriptor } from '../plan/plan.ts';
import { codeOf } from '../sys/error-code.ts';
import { openTap } from '../sys/tap.ts';

/**
 * The TAP interfaces of a plan, made or opened before anything that stays is made, and kept until QEMU gets them: one that was
 * opened only to see whether that works would come and go twice before the eyes of the host's network manager.
 */
export class Taps implements Disposable {
  readonly #opened = new Map<number, number>();

  /** Throws HostError naming the interface. */
  constructor(planned: readonly PlannedDescriptor[]) {
    try {
      for (const descriptor of planned) {
        if (descriptor.kind === 'tap') this.#opened.set(descriptor.target, open(descriptor.interface));
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The descriptor for a number in the plan; whoever takes it owns it. */
  take(target: number): number {
    const fd = this.#opened.get(target);
    if (fd === undefined) throw new Error(`The TAP interface with the number ${target} is not open`);
    this.#opened.delete(target);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#opened.values()) closeSync(fd);
    this.#opened.clear();
  }
}

function open(name: string): number {
  try {
    return openTap(name);
  } catch (error) {
    throw tapError(name, error);
  }
}

function tapError(name: string, cause: unknown): HostError {
  const code = codeOf(cause);
  const subject = `--network-tap: the network interface ${name}`;
  const another = 'Give the machine another name with --machine=NAME.';
  const exists = existsSync(`/sys/class/net/${name}`);
  if ((code === 'EPERM' || code === 'EACCES') && exists) {
    return new HostError(`${subject} is there, but may not be used by this user`, {
      hint: `Let root make it anew (ip tuntap del ${name} mode tap; ip tuntap add ${name} mode tap user USER), or use --network-user-mode.`,
    });
  }
  if (code === 'EPERM' || code === 'EACCES') {
    return new HostError(`${subject} cannot be made without the capability CAP_NET_ADMIN`, {
      hint: `Let root make it for this user (ip tuntap add ${name} mode tap user USER), or use --network-user-mode.`,
    });
  }
  if (code === 'EBUSY') return new HostError(`${subject} is in use by another program`, { hint: another });
  if (code === 'EINVAL' && exists) {
    return new HostError(`${subject} is there, but is no TAP interface with one queue`, { hint: another });
  }
  return new HostError(`${subject} cannot be made`, {
    cause,
    ...(code === 'ENOENT' || code === 'ENODEV' ? { hint: 'The kernel module tun is missing.' } : {}),
  });
}
