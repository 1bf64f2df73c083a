import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { asset } from '../assets.ts';
import type { Owned } from '../disposal.ts';
import { HandOverError, InterruptedError } from '../errors.ts';
import { DescriptorStream } from '../sys/descriptor-stream.ts';
import { pipe } from '../sys/descriptors.ts';
import { readPipe } from '../sys/pipe-reader.ts';
import { socketpair } from '../sys/socketpair.ts';
import { LineTail } from './line-tail.ts';

/** The compiled child program, or the Node one, which does the same where no compiled one runs. */
export type Flavour = 'native' | 'node';

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How a process ended, in words: "exit status 1", "signal SIGSYS". */
export function exitInWords({ code, signal }: ExitStatus): string {
  return signal === null ? `exit status ${code ?? '?'}` : `signal ${signal}`;
}

export interface ChildOptions {
  /** Aborted: nothing is started. Later it has no effect here. */
  readonly signal?: AbortSignal;
  /** `auto`: the compiled child, or the Node one where there is none that runs here. */
  readonly flavour?: 'auto' | Flavour;
  /** Absolute; ours unless told. */
  readonly workingDirectory?: string;
  /** Stands for the compiled child of the package. */
  readonly nativeProgram?: string;
  /** Called with each line of standard error as it comes, without its line feed, fit to be printed. */
  readonly onLine?: (line: string) => void;
}

/** The child program in one of its modes. Disposal kills it and waits until it is gone. */
export interface ChildProgram extends Owned {
  readonly pid: number;
  readonly flavour: Flavour;
  /** Its descriptor 3 is the other end. Does not keep the event loop alive; an error means that the child has ended. */
  readonly channel: DescriptorStream;
  /** Settles when the process has ended, and all that it wrote is read. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Throws nothing: a process that is gone gets no signal. */
  kill(signal: NodeJS.Signals): void;
  /** The last lines that it wrote to its own standard error and output, 64 KiB at most, fit to be printed. */
  readonly stderrTail: LineTail;
}

/**
 * The words of a command line that runs the child program in the mode of `words`. The flavour of a child that runs says
 * which one this host can run.
 */
export function childCommand(flavour: Flavour, words: readonly string[]): readonly [string, ...string[]] {
  return flavour === 'native'
    ? [nativeChild(), ...words]
    : [process.execPath, asset('dist', 'child.cjs'), ...words];
}

/**
 * Starts the child program with `words` and our PID. To be called on the main thread of the process that stays: the
 * child is told when the thread that made it ends. Throws HandOverError, InterruptedError.
 */
export function startChild(words: readonly string[], options: ChildOptions = {}): ChildProgram {
  if (options.signal?.aborted) throw InterruptedError.of(options.signal);
  const { flavour = 'auto', nativeProgram: native = nativeChild() } = options;
  const arguments_ = [...words, String(process.pid)];
  let child: ChildProgram | null = null;
  if (flavour !== 'node' && isForThisMachine(native))
    child = start('native', [native, ...arguments_], options);
  if (child === null && flavour !== 'native') {
    child = start('node', childCommand('node', arguments_), options);
  }
  if (child === null) {
    throw new HandOverError('The early child could not be started', {
      hint: 'Is the package complete, and is there room for one more process?',
    });
  }
  return child;
}

/** Where the compiled child program of this package is, if there is one. */
export function nativeChild(): string {
  return asset('dist', 'vmspawn-child');
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
  flavour: Flavour,
  [program, ...words]: readonly [string, ...string[]],
  { onLine, workingDirectory }: ChildOptions,
): ChildProgram | null {
  // Descriptors of our own throughout: Node's pipes drop received descriptors, and the end of one of its sockets makes
  // the user's terminal non-blocking, which the program may have been given.
  const [channel, theirChannel] = socketpair();
  const [output, theirOutput] = pipe();
  let child: ChildProcess | undefined;
  try {
    child = spawn(program, words, {
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
  flavour: Flavour,
  channelDescriptor: number,
  output: number,
  onLine: ChildOptions['onLine'],
): ChildProgram {
  const stderrTail = new LineTail(onLine);
  const reader = readPipe(output, (chunk) => stderrTail.add(chunk));
  const channel = new DescriptorStream(channelDescriptor);
  // An error of the channel means that the child has ended; `exited` tells.
  channel.on('error', () => {});
  channel.unref();
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
    channel,
    exited,
    stderrTail,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await channel[Symbol.asyncDispose]();
      await exited;
    },
  };
}
