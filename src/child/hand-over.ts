import { getSystemErrorName } from 'node:util';
import { HandOverError, InterruptedError } from '../errors.ts';
import { maximumDescriptors } from '../sys/ancillary.ts';
import type { DescriptorStream } from '../sys/descriptor-stream.ts';
import { answerLength, decodeAnswer, type ExecRequest, encodeRequest } from './protocol.ts';

/** What went wrong, in words; the same for every program, so that a user can look them up. */
const reasons: { readonly [code: string]: string } = {
  ENOENT: 'no such file, or the loader that it asks for is missing',
  EACCES: 'no permission to execute it',
  ENOEXEC: 'not a program for this machine',
  E2BIG: 'the command line and the environment are too long',
  EMFILE: 'too many open files',
  ENOMEM: 'not enough memory',
  ETXTBSY: 'it is being written',
  ELOOP: 'too many symbolic links',
  EPROTO: 'the request was not understood',
};

/**
 * Sends a request to the early child at the other end, and waits until it has become the program. Ends with the
 * channel closed by the child. Throws HandOverError; InterruptedError when `signal` aborts.
 */
export async function exchange(
  channel: DescriptorStream,
  request: ExecRequest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const program = request.argv[0] ?? '';
  let encoded: ReturnType<typeof encodeRequest>;
  try {
    encoded = encodeRequest(request);
  } catch (cause) {
    throw new HandOverError(`The command line for ${program} cannot be handed over`, { cause });
  }
  const answers = collect(channel, signal);
  // Handled below; sending may fail first.
  answers.catch(() => {});
  try {
    await send(channel, encoded.message, encoded.descriptors);
  } catch (cause) {
    if (signal?.aborted) throw InterruptedError.of(signal);
    // The child refuses a request as soon as it sees that it is wrong, and then says why.
    const bytes = await answers;
    if (bytes.length === 0) {
      throw new HandOverError(`The early child could not be given the command line for ${program}`, {
        cause,
      });
    }
  }
  judge(await answers, program);
}

/** At most 253 descriptors go with one message, and each message needs bytes to carry them. */
async function send(
  channel: DescriptorStream,
  message: Buffer,
  descriptors: readonly number[],
): Promise<void> {
  let at = 0;
  for (let rest = descriptors; rest.length > maximumDescriptors; rest = rest.slice(maximumDescriptors)) {
    await channel.sendWithDescriptors(message.subarray(at, at + 1), rest.slice(0, maximumDescriptors));
    at += 1;
  }
  const sent = descriptors.length - at * maximumDescriptors;
  await channel.sendWithDescriptors(message.subarray(at), sent > 0 ? descriptors.slice(-sent) : []);
}

/** All that the child says until it ends the channel; a few answers at most. */
function collect(channel: DescriptorStream, signal: AbortSignal | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const finish = (action: () => void) => {
      signal?.removeEventListener('abort', abort);
      channel.off('data', data).off('end', end).off('close', end);
      action();
    };
    const end = () => finish(() => resolve(Buffer.concat(chunks)));
    const abort = () => finish(() => reject(InterruptedError.of(signal)));
    const data = (chunk: Buffer) => chunks.push(chunk);
    channel.on('data', data).on('end', end).on('close', end);
    // A reset by a child that was killed: what it said before counts.
    channel.on('error', () => {});
    if (channel.destroyed || channel.readableEnded) end();
    else if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort);
  });
}

function judge(bytes: Buffer, program: string): void {
  const count = Math.floor(bytes.length / answerLength);
  const last = decodeAnswer(bytes.subarray((count - 1) * answerLength, count * answerLength));
  if (last === null) {
    throw new HandOverError(`The early child ended before it could become ${program}`);
  }
  if (last.stage === 'executing') return;
  const code = getSystemErrorName(-last.errno);
  const reason = reasons[code] ?? code;
  if (last.stage === 'execve') throw new HandOverError(`${program} cannot be executed: ${reason}`);
  throw new HandOverError(`${program} was not started: the early child failed (${last.stage}: ${reason})`);
}
