import { koffi, libc, SystemCallError } from './koffi.ts';

const execveCall = libc<[Buffer, Buffer, Buffer], number>('int execve(void *, void *, void *)');
const exitCall = libc<[number], void>('void _exit(int)');
const setsid = libc<[], number>('int setsid(void)');

/**
 * Becomes another program, with the same PID (execve(2)): returns only by throwing SystemCallError. Node marks its own
 * standard descriptors close-on-exec at its start and ignores SIGPIPE, so tidy both before. `environment` holds
 * `NAME=value`. Text that is not UTF-8 goes in as Buffers.
 */
export function execve(
  path: string,
  words: readonly (string | Uint8Array)[],
  environment: readonly (string | Uint8Array)[],
): never {
  const file = terminated(path);
  const argv = pointers(words);
  const envp = pointers(environment);
  execveCall(file, argv.array, envp.array);
  const errno = koffi().errno();
  argv.keep();
  envp.keep();
  throw new SystemCallError('execve', errno);
}

/** Ends at once (_exit(2)), without handlers and without waiting for threads, as process.exit does. */
export function exitNow(status: number): never {
  exitCall(status);
  throw new Error('_exit returned');
}

/** Leaves the session and process group of the terminal (setsid(2)); false when we lead a group already. */
export function startSession(): boolean {
  return setsid() !== -1;
}

function terminated(word: string | Uint8Array): Buffer {
  const bytes = Buffer.from(word);
  if (bytes.includes(0)) throw new TypeError('A word for execve holds a NUL character');
  return Buffer.concat([bytes, Buffer.alloc(1)]);
}

/** A NULL-ended array of char pointers, and the strings that must live as long. */
function pointers(words: readonly (string | Uint8Array)[]): { array: Buffer; keep: () => void } {
  const strings = words.map(terminated);
  const array = Buffer.alloc(8 * (strings.length + 1));
  for (const [index, string] of strings.entries()) array.writeBigUInt64LE(koffi().address(string), 8 * index);
  return { array, keep: () => void strings.length };
}
