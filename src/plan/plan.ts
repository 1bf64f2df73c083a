import type { UnitProperty } from '../dbus/property.ts';
import type { Owner } from '../host/state-place.ts';
import type { QemuConfiguration } from '../qemu/configuration.ts';
import type { ConsoleMode, ForwardedPort, SshKeyType } from '../settings/settings.ts';

/** A file that the run opens and hands to QEMU under a descriptor number that the plan chose. */
export type PlannedDescriptor = { readonly target: number } & (
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly access: 'read' | 'read-write';
      /** `device:inode` that must be found at the path, or null where any file will do. */
      readonly identity: string | null;
      /** A directory above it, below which no link may have come since it was found; for reading. */
      readonly beneath?: string;
    }
  /** Several files one after the other, each padded to 4 bytes, in an anonymous file (initrds). */
  | { readonly kind: 'concatenation'; readonly paths: readonly string[]; readonly beneath?: string }
  /**
   * An anonymous copy of a file, that the guest may write and nobody keeps (transient NVRAM); `ownTemplate` is the template
   * that comes with the firmware, where another one was asked for.
   */
  | { readonly kind: 'copy'; readonly path: string; readonly ownTemplate?: string }
  /** An empty qcow2 image of `size` bytes without a name, in the first of the directories that can have it; for `what`. */
  | {
      readonly kind: 'overlay';
      readonly directories: readonly string[];
      readonly size: number;
      readonly what: string;
    }
  /** A TAP interface of the host, made unless it is there. */
  | { readonly kind: 'tap'; readonly interface: string }
  /** The kernel's vsock for guests, with the machine's CID claimed. */
  | { readonly kind: 'vsock'; readonly path: string; readonly cid: number }
  /** One end of a socket pair; the run keeps the other one. */
  | { readonly kind: 'socketpair'; readonly purpose: 'qmp' | 'notify' | 'window-size' }
  /** The end of a pipe that QEMU reads, or writes to; the run keeps the other one. */
  | { readonly kind: 'pipe'; readonly purpose: 'console-input' | 'console-output' }
  /** A descriptor of ours: the user's terminal, a device that was passed to us. */
  | { readonly kind: 'inherit'; readonly source: number }
  /** An anonymous file with `prefix` and what `source` gives: credentials, which neither argv nor any file may show. */
  | {
      readonly kind: 'memory';
      /** In words, for messages: `Credential x`. */
      readonly what: string;
      readonly prefix: string;
      readonly encoding: 'plain' | 'base64';
      readonly source: CredentialSource;
    }
);

/** Where the value of a credential comes from. */
export type CredentialSource =
  /** Written by us; nothing in it is secret. */
  | { readonly kind: 'text'; readonly text: string }
  /** The user's, and shown to nobody. */
  | { readonly kind: 'secret'; readonly base64: string }
  /** Read when the machine starts: a file, or a Unix socket to its end. */
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'socket'; readonly path: string }
  /** One after the other. */
  | { readonly kind: 'joined'; readonly parts: readonly CredentialSource[] }
  /** Known when the machine starts: the public half of its SSH key, the address that its systemd reports to. */
  | { readonly kind: 'made'; readonly what: MadeText };

export type MadeText = 'ssh-public-key' | 'notify-address';

/** Something that the guest's systemd is given under a name (systemd.system-credentials(7)). */
export interface PlannedCredential {
  readonly name: string;
  readonly source: CredentialSource;
}

/** An SSH key pair made for this run: the private half in memory behind a link, the public one in a credential. */
export interface PlannedSshKey {
  readonly type: SshKeyType;
  /** Of the private key. */
  readonly path: string;
}

/** When the machine counts as ready, and how the guest's word reaches us. */
export interface PlannedReadiness {
  /** Only after the guest has said so; otherwise as soon as its processors run. */
  readonly guest: boolean;
  /** Milliseconds after which a guest without a word counts as ready all the same; null waits for ever. */
  readonly patience: number | null;
  /** Milliseconds after which it is said that a guest without a word is waited for; not said: never. */
  readonly reminder?: number;
  /** How the guest's systemd speaks to us over AF_VSOCK; null where only the serial port is left. */
  readonly vsock:
    | { readonly kind: 'kernel'; readonly cid: number }
    | ({ readonly kind: 'daemon' } & GuestSocket)
    | null;
}

/** Where we listen for what a daemon passes on that the guest has sent to a vsock port of its host. */
export interface GuestSocket {
  readonly path: string;
  readonly port: number;
}

/** State that outlives a run, or is made for it; made before anything is started, each under a lock of its own. */
export interface PlannedNvram {
  readonly path: string;
  readonly template: string;
  /** Path of the firmware's code. */
  readonly firmware: string;
  /** The template that comes with the firmware, where another one was asked for. */
  readonly ownTemplate?: string;
  /** Decide besides root what the image or tree is (host/state-place.ts); not said: nobody. */
  readonly holders?: readonly Owner[];
}

export interface PlannedTpmState {
  /** Absolute directory; the one in the runtime directory when transient. */
  readonly directory: string;
  readonly persistent: boolean;
  /** swtpm_setup, for persistent state that does not exist yet. */
  readonly setup: string | null;
  /** The machine cannot run without a TPM. */
  readonly required: boolean;
  /** As with NVRAM. */
  readonly holders?: readonly Owner[];
}

/** The copy of a tree that the guest writes to and nobody keeps. */
export interface PlannedTreeCopy {
  readonly source: string;
  /** `device:inode` that must be found there. */
  readonly identity: string;
  /** A directory that only we can enter, since old programs with set-user-ID bits may be in the copy. */
  readonly container: string;
  /** The copy, in there. */
  readonly path: string;
  /** A snapshot is tried first. */
  readonly subvolume: boolean;
  /** Words of the commands that make the copy, and remove the container. */
  readonly copy: readonly [string, ...string[]];
  readonly remove: readonly [string, ...string[]];
}

/** What a daemon beside QEMU must be able to do; it is denied what is not said here. */
export interface PlannedSandbox {
  /** The directories that it writes to. */
  readonly writablePaths: readonly string[];
  /** What not even root may write through it. */
  readonly readOnlyPaths: readonly string[];
  /** Names as in capabilities(7). */
  readonly capabilities: readonly string[];
  /** It makes namespaces and mounts of its own, and files with set-user-ID bits. */
  readonly namespaces: boolean;
  /** It starts newuidmap(1), which has more privileges than we. */
  readonly helpers: boolean;
}

/** A directory of the host that a daemon shows to the guest. */
export interface PlannedShare {
  /** Of the device in QEMU by which the guest sees it. */
  readonly device: string;
  /** As the user knows it. */
  readonly directory: string;
  /** Where the guest is to mount it; null for its root file system. */
  readonly place: string | null;
}

/** A daemon beside QEMU: as our child here, as a transient unit where there is a manager. */
export interface PlannedAuxiliary {
  /** `swtpm`; becomes part of the unit's name. */
  readonly name: string;
  readonly description: string;
  readonly binary: string;
  /** Absolute; the daemon's working directory, so that paths with commas never stand in its arguments. */
  readonly workingDirectory: string;
  /** `{socket}` stands for the number of the listening socket's descriptor. */
  readonly arguments: readonly string[];
  /** `listening`: made by us or the service manager. `path`: made by the daemon, and waited for. */
  readonly socket: { readonly kind: 'listening' | 'path'; readonly path: string };
  /** The machine cannot run without it; otherwise its loss at start is a notice. */
  readonly required: boolean;
  /** Milliseconds that a guest without it gets to power itself off, where the machine's own time is no use. */
  readonly shutdownTimeout?: number;
  /** A guest that runs can go on when it ends; not said: the machine ends with it. */
  readonly expendable?: boolean;
  /** Not said: the working directory alone, as root also where others may not look. */
  readonly sandbox?: PlannedSandbox;
  readonly share?: PlannedShare;
  /** The units that the service manager starts it as; null where it is a child of ours. */
  readonly units: { readonly socket: PlannedUnit | null; readonly service: PlannedUnit } | null;
}

/** A transient unit, with its properties as the manager's D-Bus interface has them (org.freedesktop.systemd1(5)). */
export interface PlannedUnit {
  readonly name: string;
  readonly properties: readonly UnitProperty[];
}

/** What systemd-machined is told about the machine (systemd-machined.service(8)). */
export interface PlannedRegistration {
  /** `--register=yes`: the machine does not run without. */
  readonly required: boolean;
  readonly via: 'varlink' | 'dbus';
  /** machined's varlink socket. */
  readonly socket: string;
  /** Fields of io.systemd.Machine.Register, without the leader, which does not exist yet. */
  readonly fields: {
    readonly name: string;
    readonly id: string;
    readonly service: string;
    readonly class: 'vm';
    readonly vSockCid?: number;
    readonly sshAddress?: string;
    readonly sshPrivateKeyPath?: string;
    readonly controlAddress?: string;
    readonly allowInteractiveAuthentication?: boolean;
  };
  /**
   * Who is registered as the leader: QEMU, or a process of ours that passes on the signals by which machinectl speaks to
   * a machine without a control address.
   */
  readonly leader: 'qemu' | 'relay';
}

/** The machine's place among the units of a service manager. */
export interface PlannedManager {
  readonly kind: 'system' | 'user';
  /** Address of its D-Bus bus. */
  readonly bus: string;
  /** Made by machined together with the registration, or by the manager; null: we stay in our own unit. */
  readonly scope: (PlannedUnit & { readonly via: 'varlink' | 'dbus' }) | null;
  /** Powers the guest off before the scope is stopped, and takes the runtime directory with it. */
  readonly guard: PlannedUnit | null;
  readonly registration: PlannedRegistration | null;
}

/** A lock file to hold as long as the machine lives. */
export interface PlannedLock {
  readonly file: string;
  /** Shared: for what several machines may read but none may write (backing files). */
  readonly mode: 'exclusive' | 'shared';
  /** What it stands for, in words for the message: `image /x.raw`. */
  readonly what: string;
}

export interface Notice {
  readonly level: 'notice' | 'warning';
  readonly text: string;
  /**
   * What in the machine's life it tells of, for those who read the journal with a program. `shutdown`: the machine was
   * asked to end, or the request goes one step further. `not-ready`: the guest's word is late, and waited for.
   */
  readonly event?: 'shutdown' | 'not-ready' | 'auxiliary-died' | 'guest-panicked';
}

/**
 * A whole run as frozen data: made by a pure function from settings and host facts, printed by --dry-run, carried out
 * by launch/. Plain JSON, with a format number, so that it can be kept and loaded again.
 */
export interface Plan {
  readonly format: 1;
  readonly machine: string;
  readonly runtimeDirectory: string;
  /** Path of the varlink socket on which the machine is controlled. */
  readonly control: string;
  /** null: nobody but us looks after the machine. */
  readonly manager: PlannedManager | null;
  readonly lockDirectory: string;
  /** Names of the lock files to hold, with what each stands for in words. The machine's own name comes first. */
  readonly locks: readonly PlannedLock[];
  readonly notices: readonly Notice[];
  readonly treeCopy: PlannedTreeCopy | null;
  readonly nvram: PlannedNvram | null;
  readonly tpmState: PlannedTpmState | null;
  readonly auxiliaries: readonly PlannedAuxiliary[];
  readonly descriptors: readonly PlannedDescriptor[];
  readonly qemu: {
    readonly binary: string;
    readonly configuration: QemuConfiguration;
    /** Added to our own environment. */
    readonly environment: { readonly [name: string]: string };
  };
  readonly console: {
    readonly mode: ConsoleMode;
    /** Where the guest's console is in the plan: at two pipes, at the terminal itself, or nowhere. */
    readonly transport: 'pipes' | 'terminal' | 'none';
    /** What the guest's kernel calls it: hvc0, ttyS0, ttyAMA0. */
    readonly terminal: string | null;
  };
  /** Soft limit for open descriptors that QEMU gets. */
  readonly descriptorLimit: { readonly soft: number; readonly hard: number };
  /** Milliseconds that the guest gets to power itself off; null is for ever. */
  readonly shutdownTimeout: number | null;
  /** Bytes that the image's file is enlarged to before anything else; null leaves it alone. */
  readonly growth: { readonly path: string; readonly identity: string; readonly size: number } | null;
  readonly readiness: PlannedReadiness;
  readonly sshKey: PlannedSshKey | null;
  /** Ports of the host that QEMU will listen on; not said: none. */
  readonly ports?: readonly ForwardedPort[];
}
