import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { renderArguments } from '../../src/qemu/arguments.ts';
import type { QemuConfiguration } from '../../src/qemu/configuration.ts';
import { Qmp } from '../../src/qemu/qmp.ts';

/** A machine with nothing in it, paused, with TCG. */
export function minimal(name: string): QemuConfiguration {
  return {
    name,
    uuid: '8a8f4d6e-4c52-4d43-a3c1-1f2a8e0f4a11',
    machine: { type: 'q35', properties: {} },
    accelerator: { name: 'tcg', properties: {} },
    cpu: 'max',
    smp: { cpus: 1 },
    memory: { size: 64 * 1024 ** 2, max: null, slots: null },
    bios: null,
    kernel: null,
    smbios11: [],
    display: 'none',
    sandbox: null,
    globals: [],
    fdSets: [],
    objects: [],
    chardevs: [],
    serials: [],
    monitors: [],
    tpmdevs: [],
    blockNodes: [],
    netdevs: [],
    devices: [],
    panicAction: null,
    paused: true,
    extra: [],
    smbios11Files: [],
    fwCfg: [],
  };
}

export interface RunningQemu extends AsyncDisposable {
  readonly qmp: Qmp;
  readonly pid: number;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly stderr: () => string;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a program that takes QEMU's arguments with QMP on descriptor 3; descriptor 4 is /dev/null, for -add-fd.
 * `configure` gets the number of that descriptor. Negotiated unless told otherwise.
 */
export async function startQemu(
  configure: (descriptor: number) => QemuConfiguration,
  {
    command = ['qemu-system-x86_64'],
    environment = {},
    negotiate = true,
  }: { command?: readonly string[]; environment?: Record<string, string>; negotiate?: boolean } = {},
): Promise<RunningQemu> {
  const configuration = configure(4);
  const [program = '', ...words] = [
    ...command,
    ...renderArguments({
      ...configuration,
      chardevs: [{ id: 'qmp', backend: 'socket', fd: 3 }, ...configuration.chardevs],
      monitors: [{ chardev: 'qmp', mode: 'control' }, ...configuration.monitors],
    }),
  ];
  const nothing = openSync('/dev/null', 'r');
  const child = spawn(program, words, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', nothing],
    env: { ...process.env, ...environment },
  });
  closeSync(nothing);
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const stream = child.stdio[3];
  if (!(stream instanceof Duplex) || child.pid === undefined) throw new Error(`${program} cannot be started`);
  const running: RunningQemu = {
    qmp: new Qmp(stream),
    pid: child.pid,
    exited,
    stderr: () => stderr,
    kill: (signal) => {
      child.kill(signal);
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      await running.qmp[Symbol.asyncDispose]();
    },
  };
  try {
    if (negotiate) await running.qmp.negotiate();
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw new Error(`QEMU did not start: ${stderr}`, { cause: error });
  }
}
