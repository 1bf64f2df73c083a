import type { FirmwareDescriptor, FirmwareProblem } from '../firmware/descriptor.ts';
import type { DirectoryFacts, ImageFacts, KernelFacts, RootPartition, TreeFacts } from '../image/facts.ts';
import type { Owner } from './state-place.ts';

/** Something that is either there, with what is known about it, or not, with the reason as a sentence part. */
export type Usable<T> = ({ readonly usable: true } & T) | { readonly usable: false; readonly reason: string };

/** What one QEMU binary can do, read from it over QMP once and kept by path, size and mtime. */
export interface QemuFacts {
  readonly binary: string;
  readonly version: readonly [number, number, number];
  /** All machine types, an alias such as `q35` with the versioned type that it stands for. */
  readonly machines: readonly { readonly name: string; readonly alias: string | null }[];
  /** Names of the device drivers that `-device` takes. */
  readonly devices: readonly string[];
  /** Accelerators built in. */
  readonly accelerators: readonly string[];
  /** Built with seccomp, so that -sandbox works. */
  readonly sandbox: boolean;
  /** QAPI members and values that decide how something is said, e.g. `discard-no-unref` of qcow2. */
  readonly schema: readonly string[];
}

export interface SwtpmFacts {
  readonly binary: string;
  /** swtpm_setup, needed only to make persistent state. */
  readonly setup: string | null;
  readonly version: readonly [number, number, number];
}

/** /dev/kvm as a descriptor that the service manager passed to us. */
export interface PassedKvm {
  readonly fd: number;
  /** The device can be opened by its path as well, for a QEMU that takes no descriptor. */
  readonly opens: boolean;
}

/** A range of user or group numbers. */
export interface IdRange {
  readonly base: number;
  readonly count: number;
}

export interface VirtiofsdFacts {
  readonly binary: string;
  /** The one in Rust, or the one in C that QEMU had up to 7.2. */
  readonly dialect: 'rust' | 'c';
  readonly version: string;
  /** It can refuse to write (--readonly). */
  readonly readOnly: boolean;
  /** It can show other owners to the guest than files have (--translate-uid). */
  readonly translate: boolean;
}

/** What there is to share directories of the host with a guest. */
export interface SharingFacts {
  readonly virtiofsd: Usable<VirtiofsdFacts>;
  /** unshare(1). */
  readonly unshare: string | null;
  /** null for root, who can read and give away every file. */
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    /** Has supplementary groups (getgroups(2)), which nobody can leave in a namespace without help. */
    readonly groups: boolean;
    /** May make user namespaces, with a /proc of their own. */
    readonly namespaces: boolean;
    /** Ranges that newuidmap(1) and newgidmap(1) would give. */
    readonly subordinate: { readonly uids: IdRange; readonly gids: IdRange } | null;
  } | null;
}

export interface Identity {
  /** Runtime directory base: /run/vmspawn or $XDG_RUNTIME_DIR/vmspawn. */
  readonly runtimeBase: string;
  /** Where all machines of this user have their locks, whichever manager they belong to. */
  readonly lockDirectory: string;
  /** Sizes of the descriptor limit the program was started with. */
  readonly descriptorLimit: { readonly soft: number; readonly hard: number };
}

/** systemd-machined of one manager. */
export interface MachinedFacts {
  readonly via: 'varlink' | 'dbus';
  /** Path of its varlink socket, which need not exist. */
  readonly socket: string;
  /** It can make a scope for the machine (257 and newer). */
  readonly allocatesUnits: boolean;
  /** Its machines may have a control address, by which machinectl speaks to them (261 and newer). */
  readonly controlAddress: boolean;
}

/** The service manager that the machine belongs to. */
export interface ManagerFacts {
  readonly kind: 'system' | 'user';
  /** D-Bus address. */
  readonly bus: string;
  /** What it starts sees the same files as we do (mount namespaces). */
  readonly sameMounts: boolean;
  /** The unit that we run in, for --keep-unit. */
  readonly ownUnit: string | null;
  readonly machined: Usable<MachinedFacts>;
}

/** A credential whose value is on this host. */
export interface LoadedCredential {
  readonly name: string;
  readonly kind: 'file' | 'socket';
  readonly path: string;
  /** Bytes; null for a socket. */
  readonly size: number | null;
}

/** Everything that this host offers and that a plan depends on. Gathered once (launch/facts.ts). */
export interface HostFacts {
  /** As QEMU spells it: x86_64, aarch64. */
  readonly architecture: string;
  readonly identity: Identity;
  /** 64 hexadecimal digits that are the same for every start of this machine on this host, for what must be stable. */
  readonly machineSeed: string;
  /** A random UUID for this run alone. */
  readonly runId: string;
  readonly kvm: Usable<{ readonly device: string; readonly passed?: PassedKvm }>;
  /**
   * The kernel's vsock. `passed`: the device as a descriptor that the service manager passed to us. `taken`: those of the
   * machine's CIDs, from the first on, that other machines have.
   */
  readonly vsock: Usable<{
    readonly device: string;
    readonly passed?: number;
    readonly taken: readonly number[];
  }>;
  /** vhost-device-vsock, for a host whose kernel has no vsock for guests. */
  readonly vsockDaemon: Usable<{ readonly binary: string }>;
  readonly qemu: Usable<QemuFacts>;
  readonly swtpm: Usable<SwtpmFacts>;
  readonly manager: Usable<ManagerFacts>;
  /** Words that run a mode of the early child's program, e.g. `stop`. */
  readonly childCommand: readonly string[];
  readonly firmware: {
    /** The descriptor that --firmware=PATH names. */
    readonly named: FirmwareDescriptor | null;
    readonly descriptors: readonly FirmwareDescriptor[];
    readonly problems: readonly FirmwareProblem[];
  };
  readonly image: ImageFacts | null;
  readonly kernel: KernelFacts | null;
  readonly initrds: readonly { readonly path: string; readonly size: number }[];
  readonly terminal: {
    /** There is a desktop that a window can be on. */
    readonly graphical: boolean;
    /** $TERM when it may be passed on, else null. */
    readonly term: string | null;
    /** Somebody can be asked: standard input is a terminal. */
    readonly interactive: boolean;
  };
  /** Words of SYSTEMD_VMSPAWN_QEMU_EXTRA. */
  readonly extraQemuArguments: readonly string[];
  /** null where no directory is shared. */
  readonly sharing: SharingFacts | null;
  /** The tree of --directory=. */
  readonly tree: TreeFacts | null;
  /** Who besides root decides what the image or tree is (state-place.ts). */
  readonly holders: readonly Owner[];
  /** What --bind= and --bind-ro= share, in the order of the settings. */
  readonly binds: readonly DirectoryFacts[];
  /** Of the image, for a kernel that is booted directly and not told its root file system. */
  readonly rootPartition: RootPartition | null;
  /** The extra drives, in the order of the settings. */
  readonly extraDrives: readonly ImageFacts[];
  /** The kernel lets us use io_uring. */
  readonly ioUring: boolean;
  /** What --load-credential= names, found. */
  readonly loadedCredentials: readonly LoadedCredential[];
  readonly network: {
    /** MAC address that SYSTEMD_VMSPAWN_NETWORK_MAC names; null: made from the machine's seed. */
    readonly mac: string | null;
    /** /dev/vhost-net can be opened; looked for only where a TAP interface is wanted. */
    readonly vhost: boolean;
  };
  /** Path of the Node.js that runs this. */
  readonly node: string;
  /** The addresses that ssh(1) finds its way to by systemd-ssh-proxy(1). */
  readonly sshProxy: {
    /** `vsock/CID`: systemd 256 and newer. */
    readonly vsock: boolean;
    /** `vsock-mux/PATH`, a daemon's Unix socket: not yet with systemd 257, with 262. */
    readonly vsockMux: boolean;
  };
}
