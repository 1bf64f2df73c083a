import { isObject, type JsonObject, type QmpGreeting, readVersion } from './messages.ts';

/** What a reader gives for a reply that does not have the shape that QAPI promises. */
export const malformed = Symbol('malformed');

type Reader<Result> = (value: unknown) => Result | typeof malformed;

interface Command<Arguments extends JsonObject | undefined, Result> {
  readonly read: Reader<Result>;
  /** The reply may pass the ordinary limit of a line. */
  readonly large?: boolean;
  /** Never set; carries the type of the arguments. */
  readonly arguments?: Arguments;
}

export interface RunStatus {
  /** QAPI RunState: `prelaunch`, `running`, `paused`, `io-error`, ... */
  readonly status: string;
  readonly running: boolean;
}

export interface VirtioStatus {
  /** Whether a driver of the guest (or its firmware) works with the device; null where that is not to be understood. */
  readonly driven: boolean | null;
}

export interface AddedDescriptor {
  readonly set: number;
  readonly fd: number;
}

type None = undefined;

/** The commands that are used, each with its arguments and the reader of its reply (qemu-qmp-ref(7)). */
export const commands = {
  qmp_capabilities: command<{ readonly enable?: readonly string[] } | None, void>(readNothing),
  cont: command<None, void>(readNothing),
  stop: command<None, void>(readNothing),
  quit: command<None, void>(readNothing),
  system_powerdown: command<None, void>(readNothing),
  system_reset: command<None, void>(readNothing),
  'query-status': command<None, RunStatus>(readStatus),
  'query-version': command<None, Pick<QmpGreeting, 'version' | 'package'>>(
    (value) => readVersion(value) ?? malformed,
  ),
  /** `path`: of the VirtIODevice in QEMU's object tree. From QEMU 7.2 on, and subject to change. */
  'x-query-virtio-status': command<{ readonly path: string }, VirtioStatus>(readVirtioStatus),
  /** Only with a descriptor attached. */
  'add-fd': command<{ readonly 'fdset-id'?: number; readonly opaque?: string } | None, AddedDescriptor>(
    readAddedDescriptor,
  ),
  'remove-fd': command<{ readonly 'fdset-id': number; readonly fd?: number }, void>(readNothing),
  /** Only with a descriptor attached. */
  getfd: command<{ readonly fdname: string }, void>(readNothing),
  /** 0.2 MB with QEMU 7.2. */
  'query-qmp-schema': command<None, readonly unknown[]>(
    (value) => (Array.isArray(value) ? value : malformed),
    { large: true },
  ),
  closefd: command<{ readonly fdname: string }, void>(readNothing),
} as const;

export type CommandName = keyof typeof commands;
export type CommandResult<Name extends CommandName> =
  (typeof commands)[Name] extends Command<infer _Arguments, infer Result> ? Result : never;
export type CommandArguments<Name extends CommandName> =
  (typeof commands)[Name] extends Command<infer Arguments, infer _Result> ? Arguments : never;

function command<Arguments extends JsonObject | undefined, Result>(
  read: Reader<Result>,
  options: { large?: boolean } = {},
): Command<Arguments, Result> {
  return { read, ...options };
}

/** Newer QEMUs may add members to an empty reply, so they are not looked at. */
function readNothing(): void {}

function readStatus(value: unknown): RunStatus | typeof malformed {
  if (!isObject(value)) return malformed;
  const { status, running } = value;
  return typeof status === 'string' && typeof running === 'boolean' ? { status, running } : malformed;
}

/** Bits of the device's status (virtio 1.2, section 2.1) by the kernel's names for them, each with a text behind it. */
function readVirtioStatus(value: unknown): VirtioStatus {
  const status = isObject(value) ? value['status'] : null;
  const bits = isObject(status) ? status['statuses'] : null;
  if (!Array.isArray(bits)) return { driven: null };
  const known = bits.every((bit) => typeof bit === 'string' && bit.startsWith('VIRTIO_CONFIG_S_'));
  return { driven: known ? bits.some((bit) => /^VIRTIO_CONFIG_S_DRIVER_OK\b/.test(bit)) : null };
}

function readAddedDescriptor(value: unknown): AddedDescriptor | typeof malformed {
  if (!isObject(value)) return malformed;
  const { 'fdset-id': set, fd } = value;
  return typeof set === 'number' && typeof fd === 'number' ? { set, fd } : malformed;
}
