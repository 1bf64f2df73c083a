import { realpathSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { UsageError } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { locateImage } from '../image/locate.ts';
import { isMachineName, machineNameLimit, machineNameOf } from '../image/name.ts';
import type { Settings } from '../settings/settings.ts';
import { randomDigits } from '../sys/random.ts';

/**
 * The machine's name, and the settings with the image that the name stands for where only a name was given. Throws
 * UsageError where neither an image nor a kernel is named, ImageError where no image has that name.
 */
export async function nameMachine(
  settings: Settings,
  environment: Environment,
): Promise<{ readonly machine: string; readonly settings: Settings }> {
  const { machine, image, linux, directory } = settings;
  if (directory !== null && image !== null) {
    throw new UsageError('--directory= and --image= name two things to boot', {
      hint: 'Give one of them; a further directory is shared with --bind=, a further disk with --extra-drive=.',
    });
  }
  if (directory === null && settings.privateUsers !== null) {
    throw new UsageError('--private-users= is about the files of --directory=, which was not given');
  }
  if (image === null && linux === null && directory === null) {
    if (machine === null) {
      throw new UsageError('There is nothing to boot', { hint: whatToName(settings.kernelCommandLine) });
    }
    const home = environment['HOME'] ?? null;
    const found = await locateImage(machine, { user: isUserMode(settings), environment, home });
    if (found.format === null) {
      if (settings.imageFormat !== null)
        throw formatOfNothing(settings.imageFormat, `${found.path} is a directory`);
      return { machine, settings: { ...settings, directory: found.path } };
    }
    return {
      machine,
      settings: { ...settings, image: found.path, imageFormat: settings.imageFormat ?? found.format },
    };
  }
  if (image === null && settings.imageFormat !== null) {
    throw formatOfNothing(settings.imageFormat, '--image= was not given');
  }
  if (machine?.endsWith('.vmspawn')) {
    throw new UsageError(`--machine=${machine} has the name of a settings file`, {
      hint: 'Give the machine a name that does not end in .vmspawn.',
    });
  }
  if (machine !== null) return { machine, settings };
  const file = image ?? (directory === '/' ? hostname() : directory && basename(realpathOf(directory)));
  if (file !== null) {
    const derived = machineNameOf(file);
    return { machine: isThrowAway(settings) ? throwAwayName(derived) : derived, settings };
  }
  const kernel = basename(linux ?? 'vmlinuz');
  return { machine: isMachineName(kernel) ? kernel : 'linux', settings };
}

function formatOfNothing(format: string, reason: string): UsageError {
  return new UsageError(`--image-format=${format} is about a disk image, but ${reason}`, {
    hint: 'Leave it out; the format of an extra drive stands before its path (--extra-drive=FORMAT:PATH).',
  });
}

/** What to do when nothing was named; the first word that is no option ends the options, and is often meant as the image. */
function whatToName([word]: readonly string[]): string {
  const named =
    'Name a disk image with --image=PATH, a tree with --directory=PATH, an installed one with --machine=NAME, or a kernel with --linux=PATH.';
  if (word === undefined) return named;
  const others = 'the first word that is no option and all after it are for the kernel command line';
  const found = kindOf(word);
  if (found === null && !word.includes('/')) return `${named} Note that ${others}, here from ${word} on.`;
  return `Did you mean --${found ?? 'image'}=${word}? Note that ${others}.`;
}

/** The option for what a path leads to; null where there is nothing. */
function kindOf(path: string): 'image' | 'directory' | null {
  try {
    return statSync(path).isDirectory() ? 'directory' : 'image';
  } catch {
    return null;
  }
}

/** For names like `.`; a directory that does not exist is complained about later, in better words. */
function realpathOf(directory: string): string {
  try {
    return realpathSync.native(directory);
  } catch {
    return directory;
  }
}

/** Whether the machine's name is used once, since it is made up for an ephemeral machine. */
export function isThrowAway({ ephemeral, machine, image, directory }: Settings): boolean {
  return ephemeral && machine === null && (image !== null || directory !== null);
}

/** `name`, shortened where it must be, with 16 random hexadecimal digits after it. */
function throwAwayName(name: string): string {
  const suffix = randomDigits().slice(-16);
  const room = machineNameLimit - suffix.length - 1;
  return `${name.slice(0, room).replace(/[-.]+$/, '')}-${suffix}`;
}

/** Whether the user's own directories and manager count: as systemd has it, for everybody but root. */
export function isUserMode({ manager }: Pick<Settings, 'manager'>): boolean {
  return manager === 'user' || (manager !== 'system' && process.getuid?.() !== 0);
}
