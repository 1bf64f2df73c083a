import { HostError } from '../errors.ts';
import type { IdRange, SharingFacts, VirtiofsdFacts } from '../host/facts.ts';
import type { PlannedAuxiliary, PlannedSandbox } from './plan.ts';

export interface Share {
  /** Absolute, without links. */
  readonly path: string;
  readonly readOnly: boolean;
  /** Which numbers of the host the guest's users from 0 on are; null: as the daemon's own user has it. */
  readonly ids: IdRange | null;
  /** How the user asked for it, for messages: `--bind=/x`. */
  readonly option: string;
}

type Command = Pick<PlannedAuxiliary, 'binary' | 'arguments'> & { readonly sandbox: PlannedSandbox };

/**
 * Mounts "$1" over itself read-only and becomes the rest of its words. Not with what is mounted below: that would keep
 * its own ways to write.
 */
const readOnlyScript = 'mount --bind -- "$1" "$1" && mount -o remount,bind,ro -- "$1" && shift && exec "$@"';

/**
 * The same in a user namespace, where nobody gets a directory without what is mounted below it (mount_namespaces(7)): all of
 * that becomes read-only as well, each mount with the options that it has. In other locales findmnt(8) writes what is not
 * ASCII as numbers.
 */
const readOnlyUserScript =
  'mount --rbind -- "$1" "$1" && list=$(LC_ALL=C.UTF-8 findmnt --submounts --list --noheadings --output VFS-OPTIONS,TARGET -- "$1") && ' +
  'printf "%s\\n" "$list" | while read -r options target; do mount -o "remount,bind,$options,ro" -- "$target" || exit 1; done && ' +
  'shift && exec "$@"';

/** What the daemon keeps to act for every user of the guest, and what it needs for its own sandbox until then. */
const capabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_SETFCAP',
  'CAP_SYS_ADMIN',
];

/**
 * The command line of a virtiofsd that serves one directory, and what it must be able to do. A daemon that cannot refuse
 * to write gets a directory that cannot be written. Throws HostError for what this host's daemon cannot do.
 */
export function virtiofsdCommand(sharing: SharingFacts, daemon: VirtiofsdFacts, share: Share): Command {
  const rust = daemon.dialect === 'rust';
  const mapping = rust ? rustMapping(sharing, daemon, share) : cMapping(sharing, daemon, share);
  const words = rust
    ? [
        '--fd={socket}',
        `--shared-dir=${share.path}`,
        '--xattr',
        '--no-announce-submounts',
        '--modcaps=-mknod:-dac_read_search',
        // With them, and the capability, any file of the host could be opened by a number.
        '--inode-file-handles=never',
        '--log-level=error',
        // The limit is the one that it is started with.
        '--rlimit-nofile=0',
        ...(share.readOnly && daemon.readOnly ? ['--readonly'] : []),
        ...mapping.daemon,
      ]
    : [
        '--fd={socket}',
        '-o',
        `source=${share.path.replace(/[\\,]/g, '\\$&')},xattr,modcaps=-mknod,log_level=err`,
        '--rlimit-nofile=0',
      ];
  const protect = share.readOnly && !daemon.readOnly;
  return {
    ...wrapped(sharing, daemon, share, [daemon.binary, ...words], {
      userNamespace: mapping.unshare,
      protect,
    }),
    sandbox: {
      writablePaths: share.readOnly ? [] : [share.path],
      readOnlyPaths: share.readOnly ? [share.path] : [],
      capabilities,
      namespaces: true,
      helpers: mapping.helpers,
    },
  };
}

interface Mapping {
  /** Words for the daemon. */
  readonly daemon: readonly string[];
  /** Words for unshare(1), where the daemon needs a user namespace made for it; null where it does not. */
  readonly unshare: readonly string[] | null;
  readonly helpers: boolean;
}

const noMapping: Mapping = { daemon: [], unshare: null, helpers: false };

/**
 * Root translates. So does an ordinary user, who is the guest's root. The tree has all numbers where the user has
 * subordinate ones, in a user namespace: the user and those, or only those where the tree belongs to one of them.
 */
function rustMapping({ user }: SharingFacts, daemon: VirtiofsdFacts, { ids, option }: Share): Mapping {
  if (user === null) {
    if (ids === null || ids.base === 0) return noMapping;
    if (!daemon.translate) throw noTranslation(daemon, ids, option, user);
    const map = `map:0:${ids.base}:${ids.count}`;
    return { ...noMapping, daemon: [`--translate-uid=${map}`, `--translate-gid=${map}`] };
  }
  const { subordinate } = user;
  if (ids !== null && ids.base !== user.uid) {
    if (subordinate === null || !contains(subordinate.uids, ids.base) || !user.namespaces)
      throw notOurs(ids, option);
    const map = (range: IdRange): string => {
      const base = contains(range, ids.base) ? ids.base : range.base;
      return `:0:${base}:${Math.min(ids.count, range.base + range.count - base)}:`;
    };
    return {
      daemon: [`--uid-map=${map(subordinate.uids)}`, `--gid-map=${map(subordinate.gids)}`],
      unshare: null,
      helpers: true,
    };
  }
  if (!user.namespaces && !daemon.translate) throw noNamespaces(option);
  if (ids === null || subordinate === null || !user.namespaces) {
    const sandbox = user.namespaces ? [] : ['--sandbox=none'];
    // In the namespace that the daemon makes without being told numbers, the user has the same number as outside.
    if (daemon.translate) {
      const words = [`--translate-uid=map:0:${user.uid}:1`, `--translate-gid=map:0:${user.gid}:1`];
      return { daemon: [...sandbox, ...words], unshare: null, helpers: false };
    }
    if (subordinate === null) throw noTranslation(daemon, { base: user.uid, count: 1 }, option, user);
    const words = [`--uid-map=:0:${user.uid}:1:`, `--gid-map=:0:${user.gid}:1:`];
    return { daemon: words, unshare: null, helpers: true };
  }
  // The user itself is the guest's root, all others are subordinate.
  const rest = (option: string, { base, count }: IdRange): string[] => {
    const others = Math.min(count, ids.count - 1);
    return others === 0 ? [] : [`${option}=:1:${base}:${others}:`];
  };
  return {
    daemon: [
      `--uid-map=:0:${user.uid}:1:`,
      ...rest('--uid-map', subordinate.uids),
      `--gid-map=:0:${user.gid}:1:`,
      ...rest('--gid-map', subordinate.gids),
    ],
    unshare: null,
    helpers: true,
  };
}

/** The one in C is root or in a namespace where it is, and there must be able to leave its groups. */
function cMapping({ user }: SharingFacts, daemon: VirtiofsdFacts, { ids, option }: Share): Mapping {
  if (user === null) {
    if (ids === null || ids.base === 0) return noMapping;
    throw noTranslation(daemon, ids, option, user);
  }
  if (ids !== null && ids.base !== user.uid) throw noTranslation(daemon, ids, option, user);
  if (!user.namespaces) throw noNamespaces(option);
  const helpers = user.subordinate !== null;
  if (!helpers && user.groups) {
    throw new HostError(`${option} needs newuidmap and newgidmap with a range of numbers for this user`, {
      hint: 'Install the Debian package uidmap and give the user a range in /etc/subuid and /etc/subgid, or use virtiofsd 1.13 or newer.',
    });
  }
  return {
    daemon: [],
    unshare: ['--user', '--map-root-user', ...(helpers ? ['--map-auto'] : [])],
    helpers,
  };
}

/**
 * Whether a daemon can enter a directory of the user `uid` that is closed to our own: the one in C has all capabilities over
 * the subordinate numbers in its namespace, the one in Rust is ourselves there.
 */
export function entersFor(uid: number, { user }: SharingFacts, { dialect }: VirtiofsdFacts): boolean {
  const { subordinate = null } = user ?? {};
  return dialect === 'c' && subordinate !== null && contains(subordinate.uids, uid);
}

function wrapped(
  { unshare }: SharingFacts,
  daemon: VirtiofsdFacts,
  { path, option }: Share,
  words: readonly string[],
  { userNamespace, protect }: { userNamespace: readonly string[] | null; protect: boolean },
): Pick<Command, 'binary' | 'arguments'> {
  const [binary = daemon.binary, ...rest] = words;
  if (userNamespace === null && !protect) return { binary, arguments: rest };
  if (unshare === null) {
    throw new HostError(`${option} needs unshare(1) with this virtiofsd (${daemon.version})`, {
      hint: 'Install util-linux, or virtiofsd 1.13 or newer.',
    });
  }
  const text = userNamespace === null ? readOnlyScript : readOnlyUserScript;
  const script = protect ? ['/bin/sh', '-c', text, 'read-only', path] : [];
  return { binary: unshare, arguments: [...(userNamespace ?? []), '--mount', '--', ...script, ...words] };
}

function contains({ base, count }: IdRange, id: number): boolean {
  return id >= base && id < base + count;
}

function noTranslation(
  { binary, version }: VirtiofsdFacts,
  { base }: IdRange,
  option: string,
  user: SharingFacts['user'],
): HostError {
  // Without translation root alone can act for the guest's users.
  const without = user === null ? ', or use --private-users=0' : '';
  return new HostError(
    `${option} has files that belong to the users from ${base} on, which ${binary} (${version}) cannot show to the guest as its own`,
    { hint: `Install virtiofsd 1.13 or newer (Debian package virtiofsd)${without}.` },
  );
}

function notOurs({ base }: IdRange, option: string): HostError {
  return new HostError(
    `${option} cannot be shared with user ${base} as the guest's root, who is neither this user nor among its subordinate numbers (subuid(5))`,
    { hint: 'Start the machine as the owner of the directory, or as root.' },
  );
}

function noNamespaces(option: string): HostError {
  return new HostError(`${option} needs user namespaces, which this user may not make`, {
    hint: 'Start the machine as root, allow user namespaces, or install virtiofsd 1.13 or newer.',
  });
}
