import type { Duplex } from 'node:stream';
import { parseCommandLine } from './cli/parse.ts';
import { UsageError } from './errors.ts';
import { startMachine } from './launch/machine.ts';
import type { Outcome } from './launch/outcome.ts';
import type { RunningMachine } from './launch/running-machine.ts';
import type { Notice, Plan } from './plan/plan.ts';
import type { DiskType, ImageFormat } from './settings/settings.ts';

export {
  AuxiliaryError,
  FileError,
  FirmwareError,
  HandOverError,
  HostError,
  ImageError,
  InterruptedError,
  LockError,
  QemuError,
  UsageError,
  VmspawnError,
} from './errors.ts';
export type { Notice, Outcome, Plan };

type Tristate = boolean | 'auto';

/** Options that have no argument on the command line. */
const flags = ['networkUserMode', 'networkTap', 'ephemeral'];

/**
 * The options of the command line, by their long names in camelCase and with the same meanings (vmspawn(1)): sizes and
 * times may be strings as there (`'1G'`, `'2min'`), or numbers of bytes and seconds; relative paths are relative to the
 * working directory.
 */
export interface SpawnOptions {
  image?: string;
  imageFormat?: ImageFormat;
  directory?: string;
  privateUsers?: string;
  /** `SRC` or `SRC:DST`, colons in paths escaped. */
  bind?: string | readonly string[];
  bindRo?: string | readonly string[];
  machine?: string;
  uuid?: string;
  cpus?: number;
  ram?: string | number;
  kvm?: Tristate;
  tpm?: Tristate;
  /** `auto`, false, or a directory. */
  tpmState?: string | boolean;
  efiNvramState?: string | boolean;
  efiNvramTemplate?: string;
  secureBoot?: Tristate;
  firmware?: string;
  firmwareFeatures?: readonly string[];
  linux?: string;
  initrd?: string | readonly string[];
  networkUserMode?: boolean;
  networkTap?: boolean;
  port?: string | readonly string[];
  imageDiskType?: DiskType;
  discardDisk?: boolean;
  growImage?: string | number;
  ephemeral?: boolean;
  extraDrive?: string | readonly string[];
  qemuArg?: readonly string[];
  shutdownTimeout?: string | number;
  /** `ID:VALUE`, with the escapes of C in the value. */
  setCredential?: readonly string[];
  /** `ID:PATH` */
  loadCredential?: readonly string[];
  smbios11?: readonly string[];
  passSshKey?: boolean;
  sshKeyType?: 'ed25519' | 'ecdsa' | 'rsa';
  vsock?: Tristate;
  vsockCid?: number;
  notifyReady?: Tristate;
  /** `stream`: `vm.console` is the guest's console. `headless`: only others can attach to it, with vmspawnctl(1). */
  console?: 'stream' | 'headless';
  kernelCommandLine?: readonly string[];
  /** Gives the start up. Later it has no effect. */
  signal?: AbortSignal;
  /** What the program would print beside the guest's own words. */
  onNotice?: (notice: Notice) => void;
  /** What the guest says that it does now (sd_notify(3), STATUS=), made printable. */
  onStatus?: (text: string) => void;
}

/** A running virtual machine. Disposal powers it off (the shutdown ladder of vmspawn(1)) and waits until it is gone. */
export interface VirtualMachine extends AsyncDisposable {
  readonly name: string;
  /** PID of QEMU. */
  readonly pid: number;
  readonly plan: Plan;
  /**
   * Settles when the machine counts as ready (`notifyReady`): by the word of the guest, or without one. Rejects with a
   * QemuError when the machine has ended before.
   */
  readonly ready: Promise<void>;
  /** Settles when the machine is gone and everything has been cleaned up. Never rejects: the outcome has the error. */
  readonly exited: Promise<Outcome>;
  /**
   * The guest's console, bytes both ways; null when headless. What is not read is kept, up to 8 MiB: then the oldest of it is
   * lost, and 'lost' is emitted with the number of bytes.
   */
  readonly console: Duplex | null;
  /** Presses the power button and waits for the end; when called again it is less patient. */
  powerOff(): Promise<Outcome>;
  /** Ends the machine at once, without asking the guest. */
  terminate(): Promise<Outcome>;
}

/**
 * Starts a machine. Throws a VmspawnError: UsageError for an option that cannot be used, and one class for each other
 * cause. Nothing is left behind then.
 */
export async function spawn(options: SpawnOptions): Promise<VirtualMachine> {
  const { settings } = parseCommandLine(commandLine(options), { cwd: process.cwd() });
  // The guest's console is no terminal of ours, so that the type of ours says nothing.
  const { TERM: _term, ...environment } = process.env;
  const machine = await startMachine({
    settings,
    environment,
    signal: options.signal ?? new AbortController().signal,
    notice: (notice) => options.onNotice?.(notice),
    status: (text) => options.onStatus?.(text),
  });
  return virtualMachine(machine);
}

function virtualMachine(machine: RunningMachine): VirtualMachine {
  return {
    name: machine.plan.machine,
    pid: machine.pid,
    plan: machine.plan,
    ready: machine.ready,
    exited: machine.exited,
    console:
      machine.plan.console.mode === 'headless'
        ? null
        : (machine.console?.open({ write: 'ask', from: 'begin' }) ?? null),
    powerOff() {
      machine.requestShutdown('powerOff() was called');
      return machine.exited;
    },
    terminate() {
      machine.end('terminate() was called');
      return machine.exited;
    },
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}

/** Through the parser of the command line, so that there is one grammar, and errors name the option. */
function commandLine(options: SpawnOptions): string[] {
  const {
    kernelCommandLine = [],
    signal: _signal,
    onNotice: _onNotice,
    onStatus: _onStatus,
    console = 'stream',
    ...rest
  } = options;
  if (!Array.isArray(kernelCommandLine)) throw new UsageError('kernelCommandLine is no array of words');
  if (kernelCommandLine.some((word) => String(word).includes('\0'))) {
    throw new UsageError('kernelCommandLine has a NUL character in it');
  }
  const { firmware, firmwareFeatures = [] } = rest;
  if (
    firmware === 'list' ||
    firmware === 'describe' ||
    firmwareFeatures.includes('list') ||
    'dryRun' in rest ||
    'detach' in rest
  ) {
    throw new UsageError(
      'spawn() starts machines; listings, dry runs and --detach are for the program vmspawn',
    );
  }
  const words = [`--console=${console === 'stream' ? 'interactive' : console}`];
  for (const [key, value] of Object.entries(rest)) {
    if (value === undefined) continue;
    const option = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (flags.includes(key)) {
      if (typeof value !== 'boolean')
        throw new UsageError(`${key}=${String(value)} is neither true nor false`);
      if (value) words.push(option);
      continue;
    }
    for (const one of Array.isArray(value) ? value : [value]) {
      words.push(`${option}=${key === 'shutdownTimeout' ? timeInWords(one) : inWords(one)}`);
    }
  }
  return [...words, '--', ...kernelCommandLine];
}

/** Seconds as a number may be a fraction, or Infinity; the command line wants milliseconds then, or the word. */
function timeInWords(value: unknown): string {
  if (typeof value !== 'number') return String(value);
  return value === Number.POSITIVE_INFINITY ? 'infinity' : `${Math.round(value * 1000)}ms`;
}

function inWords(value: unknown): string {
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
}
