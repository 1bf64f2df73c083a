import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { FactCache } from './cache.ts';
import type { IdRange, SharingFacts, Usable, VirtiofsdFacts } from './facts.ts';
import { findProgram } from './find.ts';

/** A query that takes longer hangs. */
const queryTimeout = 5_000;

/** After $PATH: where distributions have it. The last one is QEMU's own up to 7.2, and a link to the other one later. */
const directories = ['/usr/libexec', '/usr/lib', '/usr/lib/qemu'];

/** As the daemon's own sandbox makes them; where /proc is covered in part, as in containers, none can be mounted anew. */
const namespaceWords = ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc', '--', '/bin/true'];

/**
 * What there is to share directories with a guest: the daemon, and for an ordinary user what makes user namespaces.
 */
export async function probeSharing(path: string, cache: FactCache): Promise<SharingFacts> {
  const unshare = findProgram(['unshare'], { path });
  const uid = process.getuid?.() ?? 0;
  const [virtiofsd, namespaces] = await Promise.all([
    probeVirtiofsd(path, cache),
    uid === 0 || unshare === null ? false : succeeds(unshare, namespaceWords),
  ]);
  if (uid === 0) return { virtiofsd, unshare, user: null };
  const gid = process.getgid?.() ?? 0;
  const helpers =
    findProgram(['newuidmap'], { path }) !== null && findProgram(['newgidmap'], { path }) !== null;
  return {
    virtiofsd,
    unshare,
    user: {
      uid,
      gid,
      groups: supplementaryGroups().length > 0,
      namespaces,
      subordinate: helpers ? subordinateIds(uid) : null,
    },
  };
}

/** As getgroups(2) has them, without the first group, which Node adds. */
function supplementaryGroups(): string[] {
  const line = /^Groups:(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return line.split(/\s+/).filter((group) => group !== '');
}

/** The daemon: which of the two it is and what it understands, asked once and kept by path, size and mtime. */
async function probeVirtiofsd(path: string, cache: FactCache): Promise<Usable<VirtiofsdFacts>> {
  const binary = findProgram(['virtiofsd'], { path, extra: directories });
  if (binary === null) {
    return {
      usable: false,
      reason: 'virtiofsd is not installed (Debian package virtiofsd, in Debian 12 qemu-system-common)',
    };
  }
  const { size, mtimeMs, ino } = statSync(binary);
  const key = `virtiofsd:${binary}:${ino}:${size}:${mtimeMs}`;
  const kept = cache.get(key);
  const known = typeof kept === 'string' ? parseVirtiofsd(kept, kept) : null;
  if (known !== null) return { usable: true, binary, ...known };
  const [version, help] = await Promise.all([output(binary, '--version'), output(binary, '--help')]);
  const asked = parseVirtiofsd(version, help);
  if (asked === null) {
    return { usable: false, reason: `${binary} --version answered ${JSON.stringify(version.slice(0, 80))}` };
  }
  const words = [
    version,
    ...(asked.readOnly ? ['--readonly'] : []),
    ...(asked.translate ? ['--translate-uid'] : []),
  ];
  cache.set(key, words.join('\n'));
  return { usable: true, binary, ...asked };
}

/**
 * What `--version` and `--help` say: `virtiofsd 1.13.2` is the one in Rust, `virtiofsd version 7.2.22 (Debian ...)` the
 * one in C that came with QEMU. null for something else. Pure.
 */
export function parseVirtiofsd(version: string, help: string): Omit<VirtiofsdFacts, 'binary'> | null {
  const c = /^virtiofsd version (\d+(?:\.\d+)*)/.exec(version);
  if (c?.[1] !== undefined) return { dialect: 'c', version: c[1], readOnly: false, translate: false };
  // It leaves its groups before it looks at its options, which an ordinary user may not.
  if (version.startsWith('setgroups() failed')) {
    return { dialect: 'c', version: 'unknown version', readOnly: false, translate: false };
  }
  const rust = /^virtiofsd(?: backend)? (\d+(?:\.\d+)*)/.exec(version);
  if (rust?.[1] === undefined) return null;
  return {
    dialect: 'rust',
    version: rust[1],
    readOnly: /--readonly\b/.test(help),
    translate: /--translate-uid\b/.test(help),
  };
}

function output(binary: string, option: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(binary, [option], { timeout: queryTimeout, maxBuffer: 256 * 1024 }, (error, stdout, stderr) =>
      resolve(stdout || stderr || (error?.message ?? '')),
    );
  });
}

function succeeds(program: string, words: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, words, { timeout: queryTimeout }, (error) => resolve(error === null));
  });
}

/** The ranges that newuidmap(1) and newgidmap(1) give to this user; null unless there is one of both kinds. */
function subordinateIds(uid: number): { uids: IdRange; gids: IdRange } | null {
  const names = [String(uid)];
  try {
    names.push(userInfo().username);
  } catch {
    // A user without a name.
  }
  const [uids, gids] = ['/etc/subuid', '/etc/subgid'].map((file) => {
    try {
      return parseSubordinate(readFileSync(file, 'utf8'), names);
    } catch {
      return null;
    }
  });
  return uids && gids ? { uids, gids } : null;
}

/** The first range of one of the names in a file as subuid(5) has it. Pure. */
export function parseSubordinate(text: string, names: readonly string[]): IdRange | null {
  for (const line of text.split('\n')) {
    const [, name = '', base = '', count = ''] = /^([^:]+):(\d{1,10}):(\d{1,10})\s*$/.exec(line) ?? [];
    if (names.includes(name) && Number(count) > 0) return { base: Number(base), count: Number(count) };
  }
  return null;
}
