import { UsageError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { QemuConfiguration } from '../qemu/configuration.ts';
import type { Settings } from '../settings/settings.ts';
import { consoleWords } from './console.ts';
import type { Draft } from './draft.ts';
import type { ChosenFirmware } from './firmware.ts';

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
  const words = [...consoleWords(settings.console, facts), ...settings.kernelCommandLine];
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
  const image = draft.procPath({ kind: 'file', path: kernel.path, access: 'read', identity: null });
  const initrd = planInitrd(settings.initrd, draft);
  if (kernel.type === 'uki') {
    addStubStrings(commandLine, draft);
    return { image, initrd, commandLine: null };
  }
  return { image, initrd, commandLine: commandLine === '' ? null : commandLine };
}

function planInitrd(initrds: readonly string[], draft: Draft): string | null {
  const [first] = initrds;
  if (first === undefined) return null;
  if (initrds.length === 1) {
    return draft.procPath({ kind: 'file', path: first, access: 'read', identity: null });
  }
  return draft.procPath({ kind: 'concatenation', paths: initrds });
}

function addStubStrings(commandLine: string, draft: Draft): void {
  if (commandLine === '') return;
  for (const key of stubWords) draft.smbios11.push(key + commandLine);
}
