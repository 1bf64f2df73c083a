import { FirmwareError, UsageError } from '../errors.ts';
import type { FirmwareDescriptor, FlashFile } from '../firmware/descriptor.ts';
import { checkNamedFirmware, noFirmwareError } from '../firmware/failure.ts';
import { type FirmwareRequest, selectFirmware, withSecureBoot } from '../firmware/match.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PlannedNvram } from './plan.ts';
import { besideImage, stateHolders } from './state.ts';

export interface ChosenFirmware {
  readonly kind: 'uefi' | 'bios' | 'none';
  /** For -bios: a firmware that lies in memory; null leaves QEMU's own. */
  readonly bios: string | null;
  readonly nvram: PlannedNvram | null;
}

type MachineType = FirmwareRequest['machine'];

/**
 * The firmware for these settings: which kind, which descriptor, and its flash chips. Throws FirmwareError where none
 * fits, UsageError where kind and kernel do not go together.
 */
export function planFirmware(
  settings: Settings,
  facts: HostFacts,
  machine: MachineType,
  draft: Draft,
): ChosenFirmware {
  const kind = firmwareKind(settings, facts, machine, draft);
  checkKernel(kind, settings, facts);
  const { named } = facts.firmware;
  if (kind !== 'uefi' && named !== null) {
    checkNamedFirmware(named, settings.secureBoot, facts.firmware.descriptors);
    return { kind, bios: named.mapping.device === 'memory' ? named.mapping.filename : null, nvram: null };
  }
  if (kind === 'none') return { kind, bios: null, nvram: null };
  if (kind === 'bios') {
    const { chosen } = selectFirmware(facts.firmware.descriptors, biosRequest(facts, machine));
    // Without a descriptor QEMU finds the SeaBIOS that it was built with.
    return { kind, bios: chosen?.mapping.device === 'memory' ? chosen.mapping.filename : null, nvram: null };
  }
  return planUefi(chooseUefi(settings, facts, machine), settings, facts, draft);
}

function firmwareKind(
  settings: Settings,
  facts: HostFacts,
  machine: MachineType,
  draft: Draft,
): ChosenFirmware['kind'] {
  const { firmware } = settings;
  const { named } = facts.firmware;
  if (named !== null) {
    const { interfaceTypes } = named;
    return interfaceTypes.includes('uefi') ? 'uefi' : interfaceTypes.includes('bios') ? 'bios' : 'none';
  }
  if (firmware === 'uefi' || firmware === 'bios' || firmware === 'none') return firmware;
  if (facts.kernel?.type === 'other') return 'none';
  if (facts.kernel?.type === 'pe' && settings.secureBoot !== true) {
    const { chosen } = selectFirmware(facts.firmware.descriptors, uefiRequest(settings, facts, machine));
    if (chosen === null) {
      draft.notice(`No UEFI firmware fits, so ${facts.kernel.path} is started without firmware.`);
      return 'none';
    }
  }
  return 'uefi';
}

function checkKernel(kind: ChosenFirmware['kind'], settings: Settings, facts: HostFacts): void {
  const { kernel } = facts;
  if (kind === 'none' && kernel === null) {
    throw new UsageError('--firmware=none needs a kernel', { hint: 'Name it with --linux=PATH.' });
  }
  if (kind !== 'uefi' && kernel?.type === 'uki') {
    throw new UsageError(
      `--linux=${kernel.path} is a unified kernel image, which only UEFI firmware can start`,
      { hint: 'Use --firmware=uefi.' },
    );
  }
  if (kind === 'uefi' && kernel?.type === 'other') {
    throw new UsageError(`--linux=${kernel.path} has no EFI stub, so that UEFI firmware cannot start it`, {
      hint: 'Use --firmware=none.',
    });
  }
  if (kind !== 'uefi' && settings.secureBoot === true) {
    throw new UsageError(`--secure-boot=yes needs UEFI firmware, --firmware=${kind} has no Secure Boot`);
  }
}

/** What an automatic choice of UEFI firmware asks for; also decides the mark in --firmware=list. */
export function uefiRequest(
  settings: Settings,
  facts: Pick<HostFacts, 'architecture'>,
  machine: MachineType,
): FirmwareRequest {
  return {
    interface: 'uefi',
    architecture: facts.architecture,
    machine,
    ...withSecureBoot(settings.firmwareFeatures, settings.secureBoot),
    nvramTemplate: true,
  };
}

function biosRequest(facts: HostFacts, machine: MachineType): FirmwareRequest {
  return {
    interface: 'bios',
    architecture: facts.architecture,
    machine,
    include: [],
    exclude: [],
    nvramTemplate: false,
  };
}

function chooseUefi(settings: Settings, facts: HostFacts, machine: MachineType): FirmwareDescriptor {
  const { named, descriptors, problems } = facts.firmware;
  if (named !== null) {
    checkNamedFirmware(named, settings.secureBoot, descriptors);
    return named;
  }
  const request = uefiRequest(settings, facts, machine);
  const selection = selectFirmware(descriptors, request);
  if (selection.chosen === null) throw noFirmwareError(request, selection, problems);
  return selection.chosen;
}

function planUefi(
  descriptor: FirmwareDescriptor,
  settings: Settings,
  facts: HostFacts,
  draft: Draft,
): ChosenFirmware {
  const { mapping } = descriptor;
  if (mapping.device === 'memory') {
    if (settings.efiNvramTemplate !== null) throw noVariables(descriptor);
    return { kind: 'uefi', bios: mapping.filename, nvram: null };
  }
  if (mapping.device === 'other') throw new FirmwareError(`${descriptor.path} names no firmware file`);

  addFlash('firmware', mapping.executable, true, draft, {
    kind: 'file',
    path: mapping.executable.filename,
    access: 'read',
    identity: null,
  });
  draft.machineProperties['pflash0'] = 'firmware';
  const smm = descriptor.features.includes('requires-smm');
  if (facts.architecture === 'x86_64') draft.machineProperties['smm'] = smm;
  if (smm) {
    // Only code in system management mode may write the variables, else a guest could turn Secure Boot off.
    draft.globals.push({ driver: 'cfi.pflash01', property: 'secure', value: true });
  }
  if (mapping.mode !== 'split') {
    if (settings.efiNvramTemplate !== null) throw noVariables(descriptor);
    return { kind: 'uefi', bios: null, nvram: null };
  }
  const firmware = mapping.executable.filename;
  const template = settings.efiNvramTemplate ?? mapping.nvramTemplate.filename;
  const ownTemplate = mapping.nvramTemplate.filename;
  const replaced = template === ownTemplate ? {} : { ownTemplate };
  const state = besideImage(
    { setting: settings.efiNvramState, ephemeral: settings.ephemeral },
    '.efinvramstate',
    'efi-nvram-state',
    facts,
    draft,
  );
  addFlash(
    'variables',
    mapping.nvramTemplate,
    false,
    draft,
    state === null
      ? { kind: 'copy', path: template, ...replaced }
      : { kind: 'file', path: state, access: 'read-write', identity: null },
  );
  draft.machineProperties['pflash1'] = 'variables';
  if (state === null) return { kind: 'uefi', bios: null, nvram: null };
  return {
    kind: 'uefi',
    bios: null,
    nvram: { path: state, template, firmware, ...replaced, ...stateHolders(facts) },
  };
}

function addFlash(
  node: string,
  file: FlashFile,
  readOnly: boolean,
  draft: Draft,
  descriptor: Parameters<Draft['fdSet']>[0],
): void {
  draft.blockNodes.push(
    {
      'node-name': `${node}-file`,
      driver: 'file',
      filename: draft.fdSet(descriptor, node),
      'read-only': readOnly,
    },
    { 'node-name': node, driver: file.format, file: `${node}-file`, 'read-only': readOnly },
  );
}

function noVariables(descriptor: FirmwareDescriptor): FirmwareError {
  return new FirmwareError(
    `--efi-nvram-template= cannot be used with ${descriptor.path}, which keeps no variables`,
  );
}
