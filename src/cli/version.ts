import { programVersion } from '../assets.ts';

const features = '+RAW +QCOW2 +UEFI +BIOS +LINUX +KVM +TCG +TPM +USERNET +VSOCK +VIRTIOFS +SYSTEMD';

/** The two lines of --version: name with version, and what this build can (`+`) and cannot (`-`) do. */
export function versionText(): string {
  return `vmspawn ${programVersion()}\n${features}\n`;
}
