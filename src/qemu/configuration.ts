/**
 * A whole QEMU as data: every device, drive, netdev and chardev is one typed value with its own id, rendered to
 * arguments (arguments.ts) or, later, to QMP commands by the same code. Property names are QAPI's.
 */

export type PropertyValue = string | number | boolean;
export type Properties = { readonly [name: string]: PropertyValue };

/** `-blockdev` / `blockdev-add`: a node of the block graph (QAPI BlockdevOptions). */
export interface BlockNode {
  readonly 'node-name': string;
  readonly driver: string;
  /** null for `backing`: no backing file, whatever the image's header says. */
  readonly [property: string]: PropertyValue | Properties | null;
}

/** `-device` / `device_add`. `bus` and `addr` are properties like any other. */
export interface Device {
  readonly driver: string;
  readonly id: string;
  readonly [property: string]: PropertyValue;
}

/** `-netdev` / `netdev_add` (QAPI Netdev). */
export interface Netdev {
  readonly type: string;
  readonly id: string;
  readonly [property: string]: PropertyValue | readonly Properties[];
}

/** `-object` / `object-add`. */
export interface QemuObject {
  readonly 'qom-type': string;
  readonly id: string;
  readonly [property: string]: PropertyValue;
}

/** `-chardev`: not JSON in any QEMU, so it is rendered as key=value with doubled commas. */
export type Chardev = { readonly id: string; readonly mux?: boolean } & (
  | { readonly backend: 'socket'; readonly fd: number }
  | { readonly backend: 'socket'; readonly path: string; readonly server: boolean }
  | { readonly backend: 'stdio'; readonly signal: boolean }
  | { readonly backend: 'null' }
);

/** An inherited descriptor that block nodes open as /dev/fdset/SET. */
export interface FdSet {
  readonly set: number;
  readonly fd: number;
  readonly opaque: string;
}

export interface QemuConfiguration {
  readonly name: string;
  readonly uuid: string;
  readonly machine: { readonly type: string; readonly properties: Properties };
  readonly accelerator: { readonly name: 'kvm' | 'tcg'; readonly properties: Properties };
  /** Model and feature flags, as for -cpu. */
  readonly cpu: string;
  readonly smp: { readonly cpus: number };
  /** Bytes. */
  readonly memory: { readonly size: number; readonly max: number | null; readonly slots: number | null };
  /** Boots from this in place of a firmware image in flash; null leaves QEMU's own choice. */
  readonly bios: string | null;
  readonly kernel: {
    readonly image: string;
    readonly initrd: string | null;
    readonly commandLine: string | null;
  } | null;
  /** SMBIOS type 11 strings (OEM strings); nothing secret, they are visible in argv. */
  readonly smbios11: readonly string[];
  /** gtk by name: left to itself, a QEMU without a window opens VNC on the network, for anybody and without a password. */
  readonly display: 'none' | 'gtk';
  /** QEMU's own seccomp filter; null where it has none. */
  readonly sandbox: Properties | null;
  readonly globals: readonly {
    readonly driver: string;
    readonly property: string;
    readonly value: PropertyValue;
  }[];
  readonly fdSets: readonly FdSet[];
  readonly objects: readonly QemuObject[];
  readonly chardevs: readonly Chardev[];
  /** Chardevs of the board's serial ports, in their order. */
  readonly serials: readonly string[];
  readonly monitors: readonly { readonly chardev: string; readonly mode: 'control' | 'readline' }[];
  readonly tpmdevs: readonly { readonly id: string; readonly type: 'emulator'; readonly chardev: string }[];
  readonly blockNodes: readonly BlockNode[];
  readonly netdevs: readonly Netdev[];
  readonly devices: readonly Device[];
  /** What QEMU does when the guest's kernel says that it has panicked; null leaves it to end by itself. */
  readonly panicAction: 'pause' | null;
  /** vCPUs wait for `cont`. */
  readonly paused: boolean;
  /** The user's own words, last. */
  readonly extra: readonly string[];
  /** Files with one SMBIOS type 11 string each, for what must not be seen in argv. */
  readonly smbios11Files: readonly string[];
  /** Files that the guest's kernel finds under names below opt/ (docs/specs/fw_cfg.rst). */
  readonly fwCfg: readonly { readonly name: string; readonly file: string }[];
}
