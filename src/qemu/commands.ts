import { isCount, isObject, type JsonObject, type QmpGreeting, readVersion } from './messages.ts';

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

/** A mapped region of a PCI device with an id. */
export interface PciRegion {
  readonly device: string;
  readonly bar: number;
  /** In the guest's physical memory, or its I/O ports. */
  readonly address: number;
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
  'query-pci': command<None, readonly PciRegion[]>(readPciBuses),
  /** The monitor's answer as text. */
  'human-monitor-command': command<{ readonly 'command-line': string }, string>((value) =>
    typeof value === 'string' ? value : malformed,
  ),
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

/** What is not mapped has the address -1. Devices without an id are the board's own. */
function readPciBuses(value: unknown): readonly PciRegion[] | typeof malformed {
  if (!Array.isArray(value)) return malformed;
  return value.flatMap((bus) => (isObject(bus) ? readPciDevices(bus['devices']) : []));
}

function readPciDevices(value: unknown): readonly PciRegion[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter(isObject)
    .flatMap(({ qdev_id: device, regions, pci_bridge: bridge }) => [
      ...(Array.isArray(regions) ? regions.filter(isObject) : []).flatMap(({ bar, address }) =>
        typeof device === 'string' && isCount(bar) && isCount(address) ? [{ device, bar, address }] : [],
      ),
      ...(isObject(bridge) ? readPciDevices(bridge['devices']) : []),
    ]);
}

function readAddedDescriptor(value: unknown): AddedDescriptor | typeof malformed {
  if (!isObject(value)) return malformed;
  const { 'fdset-id': set, fd } = value;
  return typeof set === 'number' && typeof fd === 'number' ? { set, fd } : malformed;
}
