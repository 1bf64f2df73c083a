/**
 * The hand-over: what the early child gets from the supervisor, over a Unix stream socket that is its descriptor 3.
 * child.c and child.ts both follow this. All numbers are in the byte order of the machine; both ends are one build.
 *
 *   offset  0  u32  magic 'VMSC'
 *           4  u32  version (1)
 *           8  u32  length of the whole message, at most 4 MiB
 *          12  u32  flags; 1: become the leader of a new session
 *          16  u32  argc, 1 to 65536
 *          20  u32  envc, up to 65536
 *          24  u32  descriptors, up to 1000
 *          28  u32  0
 *          32  u64  RLIMIT_NOFILE soft   (all ones: leave it as it is)
 *          40  u64  RLIMIT_NOFILE hard
 *          48  u32  for each descriptor the number it gets in the program; none twice, each below 65536
 *           …  NUL-ended strings: argc words, the first of which is also the absolute path of the program; then envc
 *              times NAME=value. The last NUL is the end of the message.
 *
 * The descriptors are attached (SCM_RIGHTS) in the order of their numbers in the message, wherever in it, at most 253
 * at a time. Nothing may follow.
 *
 * The answers are 12 bytes each: u32 magic 'VMSA', u32 stage, u32 errno. Stage `executing` with errno 0 comes right
 * before execve; the end of the stream after it means that the program runs, since the socket is close-on-exec. Any
 * other stage, also after `executing`, is a failure, and the child exits with 126, or 127 if there is no such program.
 * The end of the stream without an answer means that the child was killed. If the supervisor closes its side before
 * the message is complete, the child exits with 125.
 *
 * Sessions: while it waits the child ignores the signals of the terminal (SIGINT, SIGQUIT, SIGHUP, SIGTSTP), so that a
 * Ctrl-C is dealt with by the supervisor, which then ends the child. QEMU itself would quit at once on SIGINT, with the
 * guest's file systems mounted. So it is given a session of its own wherever the supervisor reads the terminal or nobody
 * does. Only when QEMU itself has the terminal (native console) it stays in the session: it must be stopped
 * (SIGTTIN) while another job of the shell is in the foreground, and in its raw mode Ctrl-C is a byte for the guest.
 */
export interface ExecRequest {
  /** The program's words; the first is also its absolute path. */
  readonly argv: readonly string[];
  readonly environment: { readonly [name: string]: string | undefined };
  /** `fd`: a number here, which stays open here; `target`: the number in the program. */
  readonly descriptors: readonly { readonly target: number; readonly fd: number }[];
  /** RLIMIT_NOFILE of the program; Infinity is no limit, null leaves what the child has. */
  readonly descriptorLimit: { readonly soft: number; readonly hard: number } | null;
  /** A session of its own, away from the signals of our terminal. See above. */
  readonly ownSession: boolean;
}

export interface Answer {
  readonly stage: string;
  readonly errno: number;
}

export const requestMagic = Buffer.from('VMSC').readUInt32LE();
export const answerMagic = Buffer.from('VMSA').readUInt32LE();
export const protocolVersion = 1;
export const headerLength = 48;
export const answerLength = 12;
export const maximumLength = 4 * 1024 * 1024;
export const maximumWords = 65536;
export const maximumTargets = 1000;
export const maximumTarget = 65535;
export const sessionFlag = 1;
export const keepLimit = 2n ** 64n - 1n;
export const infiniteLimit = 2n ** 64n - 2n;

/** What the child was doing, by the number in its answer. */
export const stages = ['executing', 'reading the request', 'descriptors', 'limits', 'execve'] as const;

/**
 * The message for a request, and the descriptors to attach, in order. Throws RangeError for what the child would
 * refuse: too long, too many, a NUL character, a number twice, a program without an absolute path.
 */
export function encodeRequest(request: ExecRequest): { message: Buffer; descriptors: number[] } {
  const { argv, descriptors, descriptorLimit } = request;
  const environment = Object.entries(request.environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const words = [...argv, ...environment];
  const targets = descriptors.map(({ target }) => target);
  refuse(argv[0]?.startsWith('/') !== true, `The program ${JSON.stringify(argv[0])} has no absolute path`);
  refuse(argv.length > maximumWords, `${argv.length} arguments are too many`);
  refuse(environment.length > maximumWords, `${environment.length} environment variables are too many`);
  refuse(descriptors.length > maximumTargets, `${descriptors.length} descriptors are too many`);
  refuse(new Set(targets).size !== targets.length, 'A descriptor number is asked for twice');
  for (const target of targets) {
    refuse(
      !Number.isInteger(target) || target < 0 || target > maximumTarget,
      `No descriptor number: ${target}`,
    );
  }
  for (const word of words) refuse(word.includes('\0'), `A NUL character in ${JSON.stringify(word)}`);

  const strings = Buffer.from(words.map((word) => `${word}\0`).join(''));
  const head = Buffer.alloc(headerLength + 4 * targets.length);
  const length = head.length + strings.length;
  refuse(length > maximumLength, `The command line and environment of ${length} bytes are too long`);
  const numbers = [
    requestMagic,
    protocolVersion,
    length,
    request.ownSession ? sessionFlag : 0,
    argv.length,
    environment.length,
    targets.length,
    0,
  ];
  for (const [index, number] of numbers.entries()) head.writeUInt32LE(number, 4 * index);
  head.writeBigUInt64LE(limit(descriptorLimit?.soft), 32);
  head.writeBigUInt64LE(limit(descriptorLimit?.hard), 40);
  for (const [index, target] of targets.entries()) head.writeUInt32LE(target, headerLength + 4 * index);
  return { message: Buffer.concat([head, strings]), descriptors: descriptors.map(({ fd }) => fd) };
}

/** One answer; null when it is none. */
export function decodeAnswer(bytes: Buffer): Answer | null {
  if (bytes.length !== answerLength || bytes.readUInt32LE(0) !== answerMagic) return null;
  const stage = stages[bytes.readUInt32LE(4)];
  return stage === undefined ? null : { stage, errno: bytes.readUInt32LE(8) };
}

function limit(value: number | undefined): bigint {
  if (value === undefined) return keepLimit;
  return value === Infinity ? infiniteLimit : BigInt(value);
}

function refuse(condition: boolean, message: string): void {
  if (condition) throw new RangeError(message);
}
