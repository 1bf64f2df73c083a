import { ImageError, UsageError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { TreeKernel } from '../image/facts.ts';
import type { QemuConfiguration } from '../qemu/configuration.ts';
import type { Settings } from '../settings/settings.ts';
import { consoleWords } from './console.ts';
import type { Draft } from './draft.ts';
import type { ChosenFirmware } from './firmware.ts';
import { rootWords } from './root-words.ts';

/** COMMAND_LINE_SIZE of the kernel: 2048 on x86 and arm64, a byte of it for the end. */
export const commandLineLimit = 2048;

/** Strings by which systemd-stub and systemd-boot take further command line words (SMBIOS type 11). */
const stubWords = ['io.systemd.stub.kernel-cmdline-extra=', 'io.systemd.boot.kernel-cmdline-extra='];

/**
 * Kernel, initrd and command line of a direct boot; for a kernel that comes with its own command line (in the image, or
 * a unified kernel image) the words go along as SMBIOS strings.
 */
export function planKernel(
  settings: Settings,
  facts: HostFacts,
  firmware: ChosenFirmware,
  draft: Draft,
): QemuConfiguration['kernel'] {
  const words = [
    ...consoleWords(settings, facts),
    ...rootWords(settings, facts),
    ...settings.kernelCommandLine,
  ];
  const commandLine = words.join(' ');
  if (Buffer.byteLength(commandLine) >= commandLineLimit) {
    throw new UsageError(
      `The kernel command line has ${Buffer.byteLength(commandLine)} bytes, the kernel takes ${commandLineLimit - 1}`,
    );
  }
  const kernel = facts.kernel;
  if (kernel === null) {
    if (settings.initrd.length > 0) {
      throw new UsageError(`--initrd=${settings.initrd[0]} needs a kernel`, {
        hint: 'Name it with --linux=PATH.',
      });
    }
    if (firmware.kind === 'uefi') addStubStrings(commandLine, draft);
    else if (settings.kernelCommandLine.length > 0) {
      draft.warning(
        `The words "${settings.kernelCommandLine.join(' ')}" cannot reach the kernel of an image that is booted by BIOS ` +
          'firmware; they are left out.',
      );
    }
    return null;
  }
  if (facts.tree?.boot) tellTreeKernel(facts.tree.path, facts.tree.boot, draft);
  // Whoever owns the tree could lead us, in the meantime, to files of the host.
  const beneath = facts.tree?.boot ? { beneath: facts.tree.path } : {};
  const image = draft.procPath({
    kind: 'file',
    path: kernel.path,
    access: 'read',
    identity: null,
    ...beneath,
  });
  const initrd = planInitrd(facts.initrds, beneath, draft);
  if (kernel.type === 'uki') {
    addStubStrings(commandLine, draft);
    return { image, initrd, commandLine: null };
  }
  return { image, initrd, commandLine: commandLine === '' ? null : commandLine };
}

/** Which kernel was found in a tree, and whether it will find its root file system. Throws ImageError when it cannot. */
function tellTreeKernel(path: string, { source, virtiofs, initrds }: TreeKernel, draft: Draft): void {
  draft.notice(`The kernel is ${source} in ${path}.`);
  if (virtiofs === 'no' || (virtiofs === 'module' && initrds.length === 0)) {
    throw new ImageError(`The kernel ${source} in ${path} cannot mount the tree: it has no virtiofs`, {
      hint: 'Install another one in the tree (Debian package linux-image-cloud-amd64), or name one with --linux=.',
    });
  }
  if (virtiofs === 'module') {
    draft.notice(
      'Its initrd must have the module virtiofs: for initramfs-tools, add that word to /etc/initramfs-tools/modules in the tree and run update-initramfs -u there.',
    );
  }
}

function planInitrd(
  initrds: HostFacts['initrds'],
  beneath: { readonly beneath?: string },
  draft: Draft,
): string | null {
  const [first] = initrds;
  if (first === undefined) return null;
  if (initrds.length === 1) {
    return draft.procPath({ kind: 'file', path: first.path, access: 'read', identity: null, ...beneath });
  }
  return draft.procPath({ kind: 'concatenation', paths: initrds.map(({ path }) => path), ...beneath });
}

function addStubStrings(commandLine: string, draft: Draft): void {
  if (commandLine === '') return;
  for (const key of stubWords) draft.smbios11.push(key + commandLine);
}
