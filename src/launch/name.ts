import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { UsageError } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { locateImage } from '../image/locate.ts';
import { isMachineName, machineNameLimit, machineNameOf } from '../image/name.ts';
import type { Settings } from '../settings/settings.ts';

/**
 * The machine's name, and the settings with the image that the name stands for where only a name was given. Throws
 * UsageError where neither an image nor a kernel is named, ImageError where no image has that name.
 */
export async function nameMachine(
  settings: Settings,
  environment: Environment,
): Promise<{ readonly machine: string; readonly settings: Settings }> {
  const { machine, image, linux } = settings;
  if (image === null && linux === null) {
    if (machine === null) {
      const [word] = settings.kernelCommandLine;
      throw new UsageError('There is nothing to boot', {
        hint: word?.includes('/')
          ? `Did you mean --image=${word}? Words after the options are for the kernel command line.`
          : 'Name a disk image with --image=PATH, an installed one with --machine=NAME, or a kernel with --linux=PATH.',
      });
    }
    const home = environment['HOME'] ?? null;
    const found = await locateImage(machine, { user: isUserMode(settings), environment, home });
    return {
      machine,
      settings: { ...settings, image: found.path, imageFormat: settings.imageFormat ?? found.format },
    };
  }
  if (machine !== null) return { machine, settings };
  if (image !== null) {
    const derived = machineNameOf(image);
    return { machine: settings.ephemeral ? throwAwayName(derived) : derived, settings };
  }
  const kernel = basename(linux ?? 'vmlinuz');
  return { machine: isMachineName(kernel) ? kernel : 'linux', settings };
}

/** Whether the machine's name is used once, since it is made up for an ephemeral machine. */
export function isThrowAway({ ephemeral, machine, image }: Settings): boolean {
  return ephemeral && machine === null && image !== null;
}

/** `name`, shortened where it must be, with 16 random hexadecimal digits after it. */
function throwAwayName(name: string): string {
  // The kernel's random numbers: node:crypto takes milliseconds to load.
  const suffix = readFileSync('/proc/sys/kernel/random/uuid', 'utf8').trim().replaceAll('-', '').slice(-16);
  const room = machineNameLimit - suffix.length - 1;
  return `${name.slice(0, room).replace(/[-.]+$/, '')}-${suffix}`;
}

/** Whether the user's own directories and manager count: as systemd has it, for everybody but root. */
export function isUserMode({ manager }: Pick<Settings, 'manager'>): boolean {
  return manager === 'user' || (manager !== 'system' && process.getuid?.() !== 0);
}
