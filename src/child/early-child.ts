import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { asset } from '../assets.ts';
import type { Owned } from '../disposal.ts';
import { HandOverError, InterruptedError } from '../errors.ts';
import { DescriptorStream } from '../sys/descriptor-stream.ts';
import { pipe } from '../sys/descriptors.ts';
import { readPipe } from '../sys/pipe-reader.ts';
import { socketpair } from '../sys/socketpair.ts';
import { exchange } from './hand-over.ts';
import { LineTail } from './line-tail.ts';
import type { ExecRequest } from './protocol.ts';

export type { ExecRequest } from './protocol.ts';

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How a process ended, in words: "exit status 1", "signal SIGSYS". */
export function exitInWords({ code, signal }: ExitStatus): string {
  return signal === null ? `exit status ${code ?? '?'}` : `signal ${signal}`;
}

/**
 * A process that waits to become QEMU: first there, so that it can be put into a scope, with the PID that QEMU has to
 * the end. It dies with us. Disposal kills it, as a child or as QEMU, and waits until it is gone.
 */
export interface EarlyChild extends Owned {
  readonly pid: number;
  readonly flavour: 'native' | 'node';
  /**
   * Makes it the program of the request, once. Settles when the program runs; our copies of the descriptors may be
   * closed then. Throws HandOverError (with the system's reason in words), InterruptedError when `signal` aborts: the
   * child is to be disposed of in both cases.
   */
  handOver(request: ExecRequest, signal?: AbortSignal): Promise<void>;
  /** Settles when the process has ended, as child or as QEMU, and all that it wrote is read. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Throws nothing: a process that is gone gets no signal. */
  kill(signal: NodeJS.Signals): void;
  /** The last lines that it wrote to its own standard error and output, 64 KiB at most, fit to be printed. */
  readonly stderrTail: LineTail;
}

export interface EarlyChildOptions {
  /** Aborted: nothing is started. Later it has no effect here. */
  readonly signal?: AbortSignal;
  /** `auto`: the compiled child, or the Node one where there is none that runs here. */
  readonly flavour?: 'auto' | 'native' | 'node';
  /** Absolute; ours unless told. */
  readonly workingDirectory?: string;
  /** Stands for the compiled child of the package. */
  readonly nativeProgram?: string;
  /** Called with each line of standard error as it comes, without its line feed, fit to be printed. */
  readonly onLine?: (line: string) => void;
}

/**
 * Starts the early child. To be called on the main thread of the process that stays: the child is told when the thread
 * that made it ends. Throws HandOverError, InterruptedError.
 */
export function startEarlyChild(options: EarlyChildOptions = {}): EarlyChild {
  if (options.signal?.aborted) throw InterruptedError.of(options.signal);
  const { flavour = 'auto', nativeProgram: native = asset('dist', 'vmspawn-child') } = options;
  let child: EarlyChild | null = null;
  if (flavour !== 'node' && isForThisMachine(native)) child = start('native', native, [], options);
  if (child === null && flavour !== 'native') {
    child = start('node', process.execPath, [asset('dist', 'child.cjs')], options);
  }
  if (child === null) {
    throw new HandOverError('The early child could not be started', {
      hint: 'Is the package complete, and is there room for one more process?',
    });
  }
  return child;
}

const machines: { readonly [architecture: string]: number } = {
  x64: 0x3e,
  arm64: 0xb7,
  riscv64: 0xf3,
  ppc64: 0x15,
};

/** Whether it is an ELF file of this architecture. A start cannot tell: libuv gives other files to the shell. */
function isForThisMachine(path: string): boolean {
  const head = Buffer.alloc(20);
  try {
    const fd = openSync(path, 'r');
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
  return head.toString('latin1', 0, 4) === '\x7fELF' && head.readUInt16LE(18) === machines[process.arch];
}

/** Null when no process could be made, or the program has no loader here (another libc). */
function start(
  flavour: 'native' | 'node',
  program: string,
  words: readonly string[],
  { onLine, workingDirectory }: EarlyChildOptions,
): EarlyChild | null {
  // Descriptors of our own throughout: Node's pipes drop received descriptors, and the end of one of its sockets makes
  // the user's terminal non-blocking, which the program may have been given.
  const [channel, theirChannel] = socketpair();
  const [output, theirOutput] = pipe();
  let child: ChildProcess | undefined;
  try {
    child = spawn(program, [...words, String(process.pid)], {
      stdio: ['ignore', theirOutput, theirOutput, theirChannel],
      env: flavour === 'node' ? nodeEnvironment() : {},
      ...(workingDirectory === undefined ? {} : { cwd: workingDirectory }),
    });
    // A failed start comes as an event later, too; pid says it now.
    child.on('error', () => {});
  } finally {
    closeSync(theirChannel);
    closeSync(theirOutput);
    if (child?.pid === undefined) {
      closeSync(channel);
      closeSync(output);
    }
  }
  return child.pid === undefined ? null : supervise(child, child.pid, flavour, channel, output, onLine);
}

function nodeEnvironment(): NodeJS.ProcessEnv {
  // Certificates cost Node 20 another 40 ms at its start; what is preloaded into us is not for the child either.
  const { NODE_EXTRA_CA_CERTS: _certificates, NODE_OPTIONS: _options, ...rest } = process.env;
  return rest;
}

function supervise(
  child: ChildProcess,
  pid: number,
  flavour: 'native' | 'node',
  channelDescriptor: number,
  output: number,
  onLine: EarlyChildOptions['onLine'],
): EarlyChild {
  const stderrTail = new LineTail(onLine);
  const reader = readPipe(output, (chunk) => stderrTail.add(chunk));
  const channel = new DescriptorStream(channelDescriptor);
  // An error of the channel means that the child has ended; `exited` and the hand-over tell.
  channel.on('error', () => {});
  channel.unref();
  let handedOver = false;

  const exited = new Promise<ExitStatus>((resolve) => {
    child.once('exit', (code, signal) => {
      reader.drain();
      reader[Symbol.dispose]();
      stderrTail.end();
      resolve({ code, signal });
    });
  });

  return {
    pid,
    flavour,
    exited,
    stderrTail,
    kill: (signal) => void child.kill(signal),
    async handOver(request, signal) {
      if (handedOver) throw new HandOverError('The early child has been given a program already');
      handedOver = true;
      channel.ref();
      try {
        await exchange(channel, request, signal);
      } finally {
        await channel[Symbol.asyncDispose]();
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await channel[Symbol.asyncDispose]();
      await exited;
    },
  };
}
