import { setCloseOnExec } from './descriptors.ts';
import { libc } from './koffi.ts';

const fcntl = libc<[number, number, number], number>('int fcntl(int, int, long)');

const F_GETFD = 1;
/** Passed descriptors start here (sd_listen_fds(3)). */
const FIRST = 3;

export interface PassedDescriptor {
  /** From $LISTEN_FDNAMES, `unknown` without it. */
  readonly name: string;
  readonly fd: number;
}

/** What the environment says about passed descriptors; `problem` is a sentence part, nothing is passed then. */
export type ListenWords =
  | { readonly descriptors: readonly PassedDescriptor[]; readonly problem: null }
  | { readonly descriptors: readonly []; readonly problem: string };

/**
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES (sd_listen_fds(3)). Words for another process are no problem: they
 * were inherited by somebody who did not clean up.
 */
export function readListenWords(
  environment: { readonly [name: string]: string | undefined },
  pid: number,
): ListenWords {
  const { LISTEN_PID: owner, LISTEN_FDS: count, LISTEN_FDNAMES: names } = environment;
  const wrong = (problem: string): ListenWords => ({ descriptors: [], problem });
  if (owner === undefined || count === undefined) return { descriptors: [], problem: null };
  if (!/^[1-9][0-9]{0,9}$/.test(owner))
    return wrong(`$LISTEN_PID is ${JSON.stringify(owner)}, which is no PID`);
  if (Number(owner) !== pid) return { descriptors: [], problem: null };
  if (!/^(0|[1-9][0-9]{0,4})$/.test(count)) {
    return wrong(`$LISTEN_FDS is ${JSON.stringify(count)}, which is no number of descriptors`);
  }
  const number = Number(count);
  if (names === undefined) {
    const descriptors = Array.from({ length: number }, (_, index) => ({
      name: 'unknown',
      fd: FIRST + index,
    }));
    return { descriptors, problem: null };
  }
  const list = number === 0 && names === '' ? [] : names.split(':');
  if (list.length !== number)
    return wrong(`$LISTEN_FDNAMES has ${list.length} names for ${number} descriptors`);
  return { descriptors: list.map((name, index) => ({ name, fd: FIRST + index })), problem: null };
}

/**
 * Takes over what the service manager passed to us; the caller owns it. All of it is close-on-exec afterwards, so that no
 * program of ours inherits it. Where one of them is not open, the words are wrong altogether and nothing is touched.
 */
export function takeListenDescriptors(
  environment: { readonly [name: string]: string | undefined },
  pid: number,
): ListenWords {
  const words = readListenWords(environment, pid);
  if (words.problem !== null) return words;
  for (const { fd } of words.descriptors) {
    if (fcntl(fd, F_GETFD, 0) === -1) {
      return {
        descriptors: [],
        problem: `$LISTEN_FDS is ${words.descriptors.length}, but ${fd} is not open`,
      };
    }
  }
  for (const { fd } of words.descriptors) setCloseOnExec(fd, true);
  return words;
}
