import type { Settings } from './settings.ts';

/*
 * What the command line needs of the settings, without the schema: loading zod and building the schema takes 3 to 8 ms
 * of every start, and the parser checks each value itself.
 */

export const consoleModes = ['interactive', 'read-only', 'native', 'gui', 'headless'] as const;
export const consoleTransports = ['virtio', 'serial'] as const;
export const reaches = [
  'clipboard',
  'colours',
  'files',
  'graphics',
  'hyperlinks',
  'notifications',
  'title',
  'window',
  'working-directory',
] as const;
/** What of it a guest may reach unless told otherwise. */
export const allowedReaches = ['graphics', 'hyperlinks', 'title'] as const;
export const imageFormats = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhdx'] as const;
export const diskTypes = ['virtio-blk', 'virtio-scsi', 'nvme', 'scsi-cd'] as const;
export const networkKinds = ['user', 'tap'] as const;
export const managerNames = ['auto', 'system', 'user', 'none'] as const;
export const settingsFileModes = ['yes', 'no', 'override', 'trusted'] as const;
export const scopeInterfaces = ['auto', 'varlink', 'dbus'] as const;
export const firmwareKeywords = ['auto', 'uefi', 'bios', 'none', 'list', 'describe'] as const;
export const sshKeyTypes = ['ed25519', 'ecdsa', 'rsa'] as const;

/** The longest time in milliseconds that one timer of Node holds; a longer one fires at once. */
export const longestTimer = 2 ** 31 - 1;

/** Settings with nothing said: a fresh object, equal to what the schema makes of `{}`. */
export function defaultSettings(): Settings {
  return {
    image: null,
    imageFormat: null,
    machine: null,
    uuid: null,
    settingsFile: 'yes',
    cpus: 1,
    ram: { size: 2 * 1024 ** 3, max: null, slots: null },
    kvm: 'auto',
    vsock: 'auto',
    tpm: 'auto',
    tpmState: 'auto',
    efiNvramState: 'auto',
    efiNvramTemplate: null,
    secureBoot: 'auto',
    firmware: 'auto',
    firmwareFeatures: { include: [], exclude: ['enrolled-keys'], list: false },
    linux: null,
    initrd: [],
    console: 'interactive',
    consoleKeep: false,
    consoleTransport: 'virtio',
    consoleAllow: [...allowedReaches],
    background: 'auto',
    network: [],
    notifyReady: 'auto',
    qemuArguments: [],
    manager: 'auto',
    slice: null,
    properties: [],
    keepUnit: false,
    register: 'auto',
    scope: 'auto',
    askPassword: true,
    dryRun: null,
    detach: false,
    json: false,
    shutdownTimeout: 90_000,
    quiet: false,
    pager: true,
    kernelCommandLine: [],
    directory: null,
    binds: [],
    privateUsers: null,
    imageDiskType: 'virtio-blk',
    extraDrives: [],
    discardDisk: true,
    growImage: null,
    ephemeral: false,
    ports: [],
    credentials: [],
    smbios11: [],
    passSshKey: null,
    sshKeyType: 'ed25519',
    vsockCid: null,
  };
}
