import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { asset } from '../src/assets.ts';

/** The files of the small guest; what it says and understands is at the top of test/guest/small-init. */
export interface SmallGuest {
  /** For direct boot; wants `console=ttyS0 console=hvc0 quiet` on the kernel command line. */
  readonly kernel: string;
  readonly initrd: string;
  /** Raw image, boots under BIOS only. */
  readonly biosDisk: string;
  /** Raw image, boots under UEFI only. */
  readonly uefiDisk: string;
  /** The unified kernel image that is on it. */
  readonly unifiedKernel: string;
}

/** Password of the Debian guest's root. */
export const debianPassword = 'vmspawn';

/**
 * Path of the Debian guest's raw image, which is shared: boot a copy of it ({@link copyImage}). Built when
 * scripts/test has not said where it is, which takes a minute the first time and needs root.
 */
export function debianImage(): string {
  return process.env['VMSPAWN_GUEST_DEBIAN'] ?? build('build-debian');
}

/**
 * The Debian tree, which mmdebstrap made: shared, and not to be written to. Built when scripts/test has not said where
 * it is, which takes a minute the first time and needs root.
 */
export function debianTree(): string {
  return process.env['VMSPAWN_GUEST_TREE'] ?? build('build-tree');
}

/** The small guest, shared as well; built when scripts/test has not said where it is. */
export function smallGuest(): SmallGuest {
  const directory = process.env['VMSPAWN_GUEST_SMALL'] ?? build('build-small');
  return {
    kernel: join(directory, 'vmlinuz'),
    initrd: join(directory, 'initrd'),
    biosDisk: join(directory, 'disk.raw'),
    uefiDisk: join(directory, 'uefi.raw'),
    unifiedKernel: join(directory, 'uki.efi'),
  };
}

/**
 * A copy of the raw image for a test that writes to it: `raw` is a sparse copy (200 MB of the Debian guest, shared
 * where the file system can), `qcow2` a complete image of that format, `overlay` a qcow2 that names the image as its
 * backing file. Returns the path of the copy in `directory`.
 */
export function copyImage(
  path: string,
  directory: string,
  kind: 'raw' | 'qcow2' | 'overlay' = 'raw',
): string {
  const copy = join(directory, `${basename(path, '.raw')}.${kind === 'raw' ? 'raw' : 'qcow2'}`);
  if (kind === 'raw') execFileSync('cp', ['--sparse=always', '--reflink=auto', '--', path, copy]);
  else if (kind === 'qcow2')
    execFileSync('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', path, copy]);
  else execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', path, copy]);
  return copy;
}

/** A directory of its own for a test, short enough for sockets below it; gone when it is disposed of. */
export function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'vmspawn-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function build(builder: string): string {
  const output = execFileSync(asset('test', 'guest', builder), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return output.trim();
}
