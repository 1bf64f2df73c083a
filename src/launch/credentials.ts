import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { FileError, InterruptedError } from '../errors.ts';
import { credentialLimit, smbiosLimit, tooMuch, tooMuchInSum } from '../plan/credentials.ts';
import type { CredentialSource, MadeText, PlannedDescriptor } from '../plan/plan.ts';
import { DescriptorStream } from '../sys/descriptor-stream.ts';
import { connectUnix } from '../sys/unix-connect.ts';
import { sideBySide } from './side-by-side.ts';

/** Milliseconds that whoever answers on a socket may take, which can be a person who is asked for a password. */
const socketTimeout = 90_000;

/** What only the run itself knows. */
export type MadeTexts = { readonly [what in MadeText]?: string };

/**
 * The contents of the plan's anonymous files, by their numbers: credentials with what their files and sockets give.
 * Throws FileError naming the credential, UsageError where sockets gave more than there is room for, InterruptedError.
 */
export async function readCredentials(
  descriptors: readonly PlannedDescriptor[],
  made: MadeTexts,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const memory = descriptors.filter((descriptor) => descriptor.kind === 'memory');
  const entries = await sideBySide(
    memory.map(({ target, what, prefix, encoding, source }) => async (each: AbortSignal) => {
      const value = await read(source, what, made, each);
      if (value.length > credentialLimit) throw new FileError(`${what} has more than 1 MiB`);
      const encoded = encoding === 'base64' ? Buffer.from(value.toString('base64')) : value;
      return [target, Buffer.concat([Buffer.from(prefix), encoded])] as const;
    }),
    signal,
  );
  const size = entries.reduce((sum, [, content]) => sum + content.length, 0);
  // Only in SMBIOS strings credentials say what they are; there the strings of --smbios11= lie beside them.
  const smbios = memory.some(({ prefix }) => prefix !== '');
  if (smbios && size > smbiosLimit) throw tooMuch(size);
  if (!smbios && size > credentialLimit) throw tooMuchInSum(size);
  return new Map(entries);
}

async function read(
  source: CredentialSource,
  what: string,
  made: MadeTexts,
  signal: AbortSignal,
): Promise<Buffer> {
  switch (source.kind) {
    case 'text':
      return Buffer.from(source.text);
    case 'secret':
      return Buffer.from(source.base64, 'base64');
    case 'joined':
      return Buffer.concat(
        await sideBySide(
          source.parts.map((part) => (each: AbortSignal) => read(part, what, made, each)),
          signal,
        ),
      );
    case 'made': {
      const text = made[source.what];
      if (text === undefined) throw new Error(`${source.what} was not made`);
      return Buffer.from(text);
    }
    case 'file':
    case 'socket':
      try {
        return source.kind === 'file' ? readFile(source.path) : await readSocket(source.path, signal);
      } catch (error) {
        if (signal.aborted) throw InterruptedError.of(signal);
        throw new FileError(`${what} (--load-credential=) cannot be read from ${source.path}`, {
          cause: error,
        });
      }
  }
}

/** At most one byte more than is allowed, whatever became of the file since it was looked at. */
function readFile(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    if (!fstatSync(fd).isFile()) throw new Error('It is no file any more');
    const buffer = Buffer.alloc(credentialLimit + 1);
    let length = 0;
    for (let more = 1; more > 0 && length < buffer.length; length += more) {
      more = readSync(fd, buffer, length, buffer.length - length, null);
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

async function readSocket(path: string, signal: AbortSignal): Promise<Buffer> {
  const fd = connectUnix(path);
  if (fd === null) throw new Error('Nobody takes the connection');
  const stream = new DescriptorStream(fd);
  const late = setTimeout(
    () => stream.destroy(new Error(`The connection was not closed within ${socketTimeout / 1000} s`)),
    socketTimeout,
  );
  const giveUp = () => stream.destroy(new Error('The start was given up'));
  signal.addEventListener('abort', giveUp);
  try {
    if (signal.aborted) giveUp();
    stream.end();
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of stream as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length > credentialLimit) break;
    }
    return Buffer.concat(parts);
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', giveUp);
    stream.destroy();
  }
}
