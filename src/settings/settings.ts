import * as z from 'zod/mini';
import {
  allowedReaches,
  consoleModes,
  consoleTransports,
  diskTypes,
  firmwareKeywords,
  imageFormats,
  longestTimer,
  managerNames,
  networkKinds,
  reaches,
  scopeInterfaces,
  settingsFileModes,
  sshKeyTypes,
} from './defaults.ts';

/** yes, no, or `auto`: what systemd calls a tri-state. */
export type Tristate = boolean | 'auto';

const tristate = z.union([z.boolean(), z.literal('auto')]);

/** Where persistent state lives: beside the image, nowhere, or at a path (absolute). */
const statePath = z.union([
  z.literal('auto'),
  z.literal('off'),
  z.object({ path: z.string().check(z.minLength(1)) }),
]);

export {
  consoleModes,
  diskTypes,
  firmwareKeywords,
  imageFormats,
  managerNames,
  networkKinds,
  scopeInterfaces,
  settingsFileModes,
  sshKeyTypes,
};

const port = z.number().check(z.int(), z.positive(), z.maximum(65535));
const bytes = z.number().check(z.int(), z.positive());

/**
 * What the user asked for: everything that the command line and the settings file can say, with its default.
 * Paths are absolute here; sizes are bytes, times are milliseconds.
 */
export const settingsSchema = z.object({
  /** Disk image; null boots without a disk (direct boot of a kernel). */
  image: z._default(z.nullable(z.string()), null),
  /** null: raw, except that a file name that ends in `.qcow2` means qcow2. Never read from the content. */
  imageFormat: z._default(z.nullable(z.enum(imageFormats)), null),
  machine: z._default(z.nullable(z.string()), null),
  uuid: z._default(z.nullable(z.string()), null),
  /** Whether NAME.vmspawn is read, and what of it counts. */
  settingsFile: z._default(z.enum(settingsFileModes), 'yes'),
  cpus: z._default(z.number().check(z.int(), z.positive()), 1),
  ram: z._default(
    z.object({
      size: bytes,
      max: z.nullable(bytes),
      slots: z.nullable(z.number().check(z.int(), z.positive())),
    }),
    { size: 2 * 1024 ** 3, max: null, slots: null },
  ),
  kvm: z._default(tristate, 'auto'),
  vsock: z._default(tristate, 'auto'),
  tpm: z._default(tristate, 'auto'),
  tpmState: z._default(statePath, 'auto'),
  efiNvramState: z._default(statePath, 'auto'),
  efiNvramTemplate: z._default(z.nullable(z.string()), null),
  secureBoot: z._default(tristate, 'auto'),
  firmware: z._default(z.union([z.enum(firmwareKeywords), z.object({ path: z.string() })]), 'auto'),
  firmwareFeatures: z._default(
    z.object({
      include: z.array(z.string()),
      exclude: z.array(z.string()),
      /** `--firmware-features=list` */
      list: z.boolean(),
    }),
    { include: [], exclude: ['enrolled-keys'], list: false },
  ),
  linux: z._default(z.nullable(z.string()), null),
  initrd: z._default(z.array(z.string()), []),
  console: z._default(z.enum(consoleModes), 'interactive'),
  /** A closed terminal does not end the machine. */
  consoleKeep: z._default(z.boolean(), false),
  /** As what the guest sees it. */
  consoleTransport: z._default(z.enum(consoleTransports), 'virtio'),
  /** What the guest may reach in the user's terminal beside its part of the screen. */
  consoleAllow: z._default(z.array(z.enum(reaches)), [...allowedReaches]),
  /** Parameters of the SGR sequence that sets the background; `auto`: a tint of the terminal's own; null: none. */
  background: z._default(z.nullable(z.string()), 'auto'),
  /** The network interfaces, each kind at most once, in the order in which they were asked for. */
  network: z._default(z.array(z.enum(networkKinds)), []),
  /** When the machine counts as ready: by the guest's word, as soon as it runs, or by what is known of the guest. */
  notifyReady: z._default(tristate, 'auto'),
  qemuArguments: z._default(z.array(z.string()), []),
  manager: z._default(z.enum(managerNames), 'auto'),
  /** Unit name with its suffix; null: machine.slice of the manager's own. */
  slice: z._default(z.nullable(z.string()), null),
  /** Assignments as for `systemctl set-property`, in their order and not looked at yet (plan/unit-properties.ts). */
  properties: z._default(
    z.array(z.object({ name: z.string().check(z.minLength(1)), value: z.string() })),
    [],
  ),
  /** Everything stays in the unit that we were started in. */
  keepUnit: z._default(z.boolean(), false),
  /** Registration with machined; `auto`: where there is one, and a refusal is no reason to stop. */
  register: z._default(tristate, 'auto'),
  /** By which interface the scope is made. */
  scope: z._default(z.enum(scopeInterfaces), 'auto'),
  /** Whether the user may be asked for a password (polkit). */
  askPassword: z._default(z.boolean(), true),
  /** `--dry-run`: print the plan instead of running it. */
  dryRun: z._default(z.nullable(z.enum(['text', 'json'])), null),
  /** The machine runs in the background. */
  detach: z._default(z.boolean(), false),
  /** Output of the listings: null is a table on a terminal, bare lines otherwise. */
  json: z._default(z.boolean(), false),
  /** null waits for ever; otherwise no longer than one timer holds. */
  shutdownTimeout: z._default(z.nullable(z.number().check(z.nonnegative(), z.maximum(longestTimer))), 90_000),
  quiet: z._default(z.boolean(), false),
  pager: z._default(z.boolean(), true),
  /** Words after the options. */
  kernelCommandLine: z._default(z.array(z.string()), []),
  /** Directory tree that is the root file system. */
  directory: z._default(z.nullable(z.string()), null),
  /** Directories of the host in the guest, in their order. */
  binds: z._default(z.array(z.object({ source: z.string(), target: z.string(), readOnly: z.boolean() })), []),
  /** The user and group numbers of the host that the tree's files have; null: from the tree's owner on. */
  privateUsers: z._default(
    z.nullable(
      z.object({
        base: z.number().check(z.int(), z.nonnegative()),
        count: z.number().check(z.int(), z.positive()),
      }),
    ),
    null,
  ),
  /** As what the guest sees the image, and every extra drive that does not say it. */
  imageDiskType: z._default(z.enum(diskTypes), 'virtio-blk'),
  /** `format` null: as for the image; `type` null: as imageDiskType. */
  extraDrives: z._default(
    z.array(
      z.object({
        path: z.string().check(z.minLength(1)),
        format: z.nullable(z.enum(imageFormats)),
        type: z.nullable(z.enum(diskTypes)),
      }),
    ),
    [],
  ),
  /** What the guest discards is given back to the host. */
  discardDisk: z._default(z.boolean(), true),
  /** Bytes, a multiple of 4096, that the image has at least; null leaves it alone. */
  growImage: z._default(z.nullable(bytes), null),
  /** What the guest writes is thrown away at the end. */
  ephemeral: z._default(z.boolean(), false),
  /** Ports of the host that lead to ports of the guest; `address` is IPv4. */
  ports: z._default(
    z.array(
      z.object({
        protocol: z.enum(['tcp', 'udp']),
        address: z.string(),
        host: port,
        guest: port,
      }),
    ),
    [],
  ),
  /** What the guest's systemd is given, in the order given; no name is there twice. */
  credentials: z._default(
    z.array(
      z.object({
        name: z.string().check(z.minLength(1)),
        source: z.union([
          z.object({ kind: z.literal('secret'), base64: z.string() }),
          /** An absolute path, or the name of a credential on this host. */
          z.object({ kind: z.literal('load'), path: z.string().check(z.minLength(1)) }),
        ]),
        /** Said by the settings file, not by the command line. */
        fromFile: z.boolean(),
      }),
    ),
    [],
  ),
  /** SMBIOS type 11 strings. */
  smbios11: z._default(z.array(z.string().check(z.minLength(1))), []),
  /** null: where the machine has a vsock device. */
  passSshKey: z._default(z.nullable(z.boolean()), null),
  sshKeyType: z._default(z.enum(sshKeyTypes), 'ed25519'),
  /** null: made from the machine's name. */
  vsockCid: z._default(z.nullable(z.number().check(z.int(), z.minimum(3), z.maximum(0xfffffffe))), null),
});

export type Settings = z.infer<typeof settingsSchema>;
export type SettingsInput = z.input<typeof settingsSchema>;
export type ConsoleMode = (typeof consoleModes)[number];
export type ImageFormat = (typeof imageFormats)[number];
export type DiskType = (typeof diskTypes)[number];
export type ExtraDrive = Settings['extraDrives'][number];
export type ForwardedPort = Settings['ports'][number];
export type SshKeyType = (typeof sshKeyTypes)[number];
export type StatePath = Settings['tpmState'];
