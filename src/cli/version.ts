import { readFileSync } from 'node:fs';
import { asset } from '../assets.ts';

const features = '+RAW +QCOW2 +UEFI +BIOS +LINUX +KVM +TCG +TPM +USERNET -VSOCK -VIRTIOFS -SYSTEMD';

/** The two lines of --version: name with version, and what this build can (`+`) and cannot (`-`) do. */
export function versionText(): string {
  const version =
    /"version":\s*"([^"]*)"/.exec(readFileSync(asset('package.json'), 'utf8'))?.[1] ?? 'unknown';
  return `vmspawn ${version}\n${features}\n`;
}
