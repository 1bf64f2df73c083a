import { Readable } from 'node:stream';
import { ConsoleBusyError, type ConsoleHub, type WindowSize } from '../console/hub.ts';
import { type ConsoleView, lostText, type ViewOptions } from '../console/view.ts';
import type { Owned } from '../disposal.ts';
import { QmpConnectionError } from '../qemu/errors.ts';
import {
  invalidParameter,
  type JsonObject,
  VarlinkError,
  type VarlinkInterface,
  type VarlinkMethodCall,
} from '../varlink/index.ts';
import { ConsoleSession } from './console-session.ts';
import type { ControlledMachine, KeptConsole } from './machine.ts';

const description = `# The console of one machine: its output, which is kept, and its input.
interface org.vmspawn.Console

# Connects the caller with the console. To be called with 'upgrade'; behind the reply both sides send frames: one byte with
# the type, four with the length of the payload (big endian, at most 65536), and the payload. From the caller: 'i' is
# input, 's' the size of its window (rows and columns, 16 bits each). To the caller: 'o' is output; 't', without a
# payload, says that somebody else writes from now on; 'e' is the last one and says that the machine has ended: a byte with
# the exit status, then text about what went wrong, or nothing. What the caller has not read in time is dropped, with a
# line of text in its place.
method Attach(
  # To write as well. One at a time may
  write: bool,
  # To take the right to write away from whoever has it
  steal: bool,
  # How many bytes of what the console showed before are sent first, at most; everything that is kept unless told
  history: ?int,
  # The caller's window, in characters; both or none. It counts for whoever writes
  rows: ?int,
  columns: ?int
) -> (
  # Whether the caller may write
  writer: bool,
  # How many bytes of what the console showed before come first
  history: int
)

# Sends the output that is kept, as it is, and what comes later if it is to follow. To be called with 'upgrade'; the
# connection ends behind it.
method Log(follow: bool) -> ()

# Tells who is there and how much is kept
method Describe() -> (
  # How many read, by whatever way
  readers: int,
  # Whether somebody writes
  writer: bool,
  # Bytes of output that are kept
  historyBytes: int,
  # The window of whoever wrote last
  rows: ?int,
  columns: ?int
)

# The machine was started with a console that is not kept: QEMU's own, or a window
error NoConsole()

# Somebody else writes
error Busy()

# The machine is still being started
error NotRunning()
`;

const errorName = (name: 'NoConsole' | 'Busy' | 'NotRunning') => `org.vmspawn.Console.${name}`;

/** The interface org.vmspawn.Console on whatever machine there is at the time of a call, and its clients. */
export class ConsoleInterface implements Owned {
  readonly served: VarlinkInterface;
  readonly #machine: () => ControlledMachine;
  readonly #sessions = new Set<ConsoleSession>();

  constructor(machine: () => ControlledMachine) {
    this.#machine = machine;
    this.served = {
      description,
      methods: {
        Attach: (call) => this.#attach(call),
        Log: (call) => this.#log(call),
        Describe: async () => this.#describe(),
      },
    };
  }

  /** Everybody gets what is left for them, and is told of the machine's end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session[Symbol.asyncDispose]()));
  }

  async #attach(call: VarlinkMethodCall): Promise<void> {
    const { hub, ended } = this.#console();
    const { write, steal, history } = call.parameters;
    expectUpgrade(call);
    const last = optionalInteger('history', history, 0, Number.MAX_SAFE_INTEGER);
    const size = windowSize(call.parameters);
    const view = open(hub, {
      write: write !== true ? 'no' : steal === true ? 'steal' : 'ask',
      from: last === null ? 'begin' : { last },
      lost: lostText,
    });
    try {
      if (size !== null) view.setSize(size);
      const before = hub.history.end - view.position;
      const stream = await call.takeOver({ writer: write === true, history: before });
      this.#keep(ConsoleSession.attached(stream, view, ended));
    } catch (error) {
      view.destroy();
      throw error;
    }
  }

  async #log(call: VarlinkMethodCall): Promise<void> {
    const { hub } = this.#console();
    expectUpgrade(call);
    const follow = call.parameters['follow'] === true;
    const source = follow ? open(hub, { write: 'no', from: 'begin', lost: lostText }) : kept(hub);
    try {
      this.#keep(ConsoleSession.log(await call.takeOver({}), source));
    } catch (error) {
      source.destroy();
      throw error;
    }
  }

  #describe(): object {
    const { hub } = this.#console();
    const { count: readers, writer } = hub.readers;
    return { readers, writer, historyBytes: hub.history.end - hub.history.begin, ...hub.size };
  }

  #keep(session: ConsoleSession): void {
    this.#sessions.add(session);
    void session.over.then(() => this.#sessions.delete(session));
  }

  #console(): KeptConsole {
    let console: KeptConsole | null;
    try {
      console = this.#machine().console();
    } catch (error) {
      if (error instanceof QmpConnectionError) throw new VarlinkError(errorName('NotRunning'));
      throw error;
    }
    if (console === null) throw new VarlinkError(errorName('NoConsole'));
    return console;
  }
}

function open(hub: ConsoleHub, options: ViewOptions): ConsoleView {
  try {
    return hub.open(options);
  } catch (error) {
    if (error instanceof ConsoleBusyError) throw new VarlinkError(errorName('Busy'));
    throw error;
  }
}

/** What is kept now. No copy: blocks that are dropped later stay what they are for whoever has them. */
function kept({ history }: ConsoleHub): Readable {
  const chunks: Buffer[] = [];
  for (let at = history.begin; ; ) {
    const chunk = history.at(at);
    if (chunk === null) return Readable.from(chunks, { objectMode: false });
    chunks.push(chunk);
    at += chunk.length;
  }
}

/** Before anything is done that others would notice. */
function expectUpgrade({ upgrade }: VarlinkMethodCall): void {
  if (!upgrade) throw new VarlinkError('org.varlink.service.ExpectedUpgrade');
}

function windowSize({ rows, columns }: JsonObject): WindowSize | null {
  const size = {
    rows: optionalInteger('rows', rows, 1, 0xffff),
    columns: optionalInteger('columns', columns, 1, 0xffff),
  };
  if (size.rows === null && size.columns === null) return null;
  if (size.rows === null) throw invalidParameter('rows');
  if (size.columns === null) throw invalidParameter('columns');
  return { rows: size.rows, columns: size.columns };
}

function optionalInteger(name: string, value: unknown, least: number, most: number): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || value < least || value > most) throw invalidParameter(name);
  return value;
}
