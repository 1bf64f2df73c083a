/**
 * The early child where there is no compiled one: the same protocol (protocol.ts), spoken by Node through koffi. As
 * `child.cjs PID`, with the channel as descriptor 3. Other modes, as the compiled one has them: `child.cjs leader PID`,
 * `child.cjs stop PATH`.
 */
import { fstatSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { type ReceivedMessage, receiveDescriptors, sendDescriptors } from '../sys/ancillary.ts';
import { closeOnExecFrom, duplicate, duplicateTo, setCloseOnExec } from '../sys/descriptors.ts';
import { execve, exitNow, startSession } from '../sys/exec.ts';
import { koffi, type PollHandle, SystemCallError } from '../sys/koffi.ts';
import { descriptorLimit, setDescriptorLimit } from '../sys/limits.ts';
import { setParentDeathSignal } from '../sys/prctl.ts';
import { ignoreSignal, resetSignals } from '../sys/signals.ts';
import { writeErr } from '../sys/stdio.ts';
import { decodeRequest, RequestParser } from './decode.ts';
import { runLeader } from './leader-mode.ts';
import { type answerLength, answerMagic, stages } from './protocol.ts';
import { runStop } from './stop-mode.ts';

type Stage = (typeof stages)[number];

let channel = 3;

function answer(stage: Stage, errno: number): void {
  const bytes = Buffer.alloc(12 satisfies typeof answerLength);
  for (const [index, word] of [answerMagic, stages.indexOf(stage), errno].entries()) {
    bytes.writeUInt32LE(word, 4 * index);
  }
  try {
    sendDescriptors(channel, bytes, []);
  } catch {
    // Nobody is left to be told.
  }
}

function fail(stage: Stage, error: unknown): never {
  const errno = error instanceof SystemCallError ? error.errno : constants.errno.EPROTO;
  answer(stage, errno);
  exitNow(stage === 'execve' && errno === constants.errno.ENOENT ? 127 : 126);
}

function gone(): never {
  writeErr('vmspawn-child: the supervisor went away before the hand-over\n');
  exitNow(125);
}

/** Does `action` or fails with its error in that stage. */
function during<T>(stage: Stage, action: () => T): T {
  try {
    return action();
  } catch (error) {
    fail(stage, error);
  }
}

function become(message: Buffer, received: readonly number[]): never {
  const request = decodeRequest(message, received.length);
  if (request === null) fail('reading the request', null);
  if (request.ownSession) startSession();
  during('descriptors', () => {
    const base = Math.max(3, ...request.targets) + 1;
    // First everything out of the way, then each to its place: a target may be the number that another one has now.
    channel = duplicate(channel, base);
    const moved = received.map((fd) => duplicate(fd, base));
    closeOnExecFrom(3);
    // Node marked these at its start.
    for (const fd of [0, 1, 2]) setCloseOnExec(fd, false);
    for (const [index, target] of request.targets.entries()) duplicateTo(moved[index] ?? -1, target);
  });
  during('limits', () => {
    if (request.descriptorLimit === null) return;
    const hard = Math.min(request.descriptorLimit.hard, descriptorLimit().hard);
    setDescriptorLimit({ soft: Math.min(request.descriptorLimit.soft, hard), hard });
  });
  resetSignals();
  answer('executing', 0);
  return during('execve', () => execve(request.path, request.argv, request.environment));
}

function main(): void {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTSTP', 'SIGPIPE'] as const) {
    ignoreSignal(constants.signals[signal]);
  }
  setParentDeathSignal('SIGTERM');
  if (process.ppid !== Number(process.argv[2])) gone();
  for (const fd of [0, 1, 2]) {
    try {
      fstatSync(fd);
    } catch {
      openSync('/dev/null', 'r+');
    }
  }
  const parser = new RequestParser();
  const received: number[] = [];
  const handle: PollHandle = koffi().node.poll(channel, { readable: true, disconnect: true }, () => {
    const buffer = Buffer.allocUnsafe(65536);
    let got: ReceivedMessage | null;
    try {
      got = receiveDescriptors(channel, buffer);
    } catch (error) {
      if (error instanceof SystemCallError && error.code === 'ECONNRESET') gone();
      fail('reading the request', error);
    }
    if (got === null) return;
    if (got.length === 0) gone();
    received.push(...got.descriptors);
    const state = parser.add(buffer.subarray(0, got.length));
    if (state === 'malformed') fail('reading the request', null);
    if (state === 'complete') become(parser.message, received);
  });
  // Referenced to the end: a collected handle stops polling.
  Object.assign(globalThis, { vmspawnChannel: handle });
}

const [mode, argument = ''] = process.argv.slice(2);
if (mode === 'leader') runLeader(Number(argument));
else if (mode === 'stop') runStop(argument);
else main();
