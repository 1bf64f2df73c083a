import { FirmwareError, printable } from '../errors.ts';
import type { Tristate } from '../settings/settings.ts';
import type { FirmwareDescriptor, FirmwareProblem } from './descriptor.ts';
import { type FirmwareRequest, type FirmwareSelection, nearestRejection } from './match.ts';

const packages: Readonly<Record<string, string>> = {
  x86_64: 'ovmf on Debian, edk2-ovmf on Fedora and Arch Linux',
  aarch64: 'qemu-efi-aarch64 on Debian, edk2-aarch64 on Fedora and Arch Linux',
};

/** The error for a request that no descriptor fits: what is missing, why the nearest one does not fit, what to do. */
export function noFirmwareError(
  request: FirmwareRequest,
  selection: FirmwareSelection,
  problems: readonly FirmwareProblem[],
): FirmwareError {
  const { architecture, machine } = request;
  const kind =
    request.interface === 'uefi' ? 'UEFI' : request.interface === 'bios' ? 'BIOS' : request.interface;
  const offered = selection.rejected.some(({ descriptor }) =>
    descriptor.interfaceTypes.includes(request.interface),
  );
  const install =
    request.interface === 'uefi'
      ? `Install the package with it (${packages[architecture] ?? 'the edk2 build for this architecture'}), or boot without it: --firmware=bios, or --firmware=none with --linux=.`
      : 'See --firmware=list for what this host has.';
  if (!offered) {
    const [problem] = problems;
    const more =
      problem === undefined
        ? ''
        : `; ${problems.length === 1 ? 'one descriptor' : `${problems.length} descriptors`} could not be used, first ${printable(problem.path)}: ${printable(problem.reason)}`;
    return new FirmwareError(`No ${kind} firmware for ${architecture} is installed${more}`, {
      hint: install,
    });
  }
  const nearest = nearestRejection(selection);
  const why =
    nearest === null
      ? ''
      : `; the nearest is ${printable(nearest.descriptor.path)}, but ${printable(nearest.reason)}`;
  return new FirmwareError(
    `None of the installed ${kind} firmware fits ${architecture} and the machine type ${machine.name}${why}`,
    {
      hint:
        nearest?.filter === 'include' || nearest?.filter === 'exclude'
          ? 'Change --firmware-features= or --secure-boot=, or see --firmware=list.'
          : install,
    },
  );
}

/**
 * Checks the descriptor that `--firmware=PATH` names. The user's word stands in for the filters; refused is only what
 * cannot work: a mapping that is not supported, and Secure Boot asked of a firmware without it. `descriptors` are
 * those of the host, to name the ones that would do. Throws FirmwareError.
 */
export function checkNamedFirmware(
  descriptor: FirmwareDescriptor,
  secureBoot: Tristate,
  descriptors: readonly FirmwareDescriptor[],
): void {
  const { mapping } = descriptor;
  const path = printable(descriptor.path);
  if (mapping.device === 'other') {
    throw new FirmwareError(
      `The firmware descriptor ${path} has the mapping "${printable(mapping.name)}", which names no firmware file to load`,
      { hint: 'Only the mappings "flash" and "memory" can be used with --firmware=PATH.' },
    );
  }
  if (mapping.device === 'flash' && mapping.mode === 'combined') {
    throw new FirmwareError(
      `The firmware descriptor ${path} keeps code and variables in one file, which is not supported`,
      { hint: 'Choose a firmware with the mode "split" or "stateless".' },
    );
  }
  if (secureBoot !== true || descriptor.features.includes('secure-boot')) return;
  const others = descriptors
    .filter(({ features, targets }) => {
      const architectures = descriptor.targets.map(({ architecture }) => architecture);
      return (
        features.includes('secure-boot') &&
        targets.some(({ architecture }) => architectures.includes(architecture))
      );
    })
    .map((other) => printable(other.path));
  throw new FirmwareError(
    `Secure Boot is asked for, but the firmware ${path} lacks the feature secure-boot`,
    {
      hint:
        others.length === 0
          ? 'No other firmware of this host has it; leave --secure-boot=yes out or install one.'
          : `It is offered by ${others.join(', ')}.`,
    },
  );
}
