import { FirmwareError, UsageError } from '../errors.ts';
import type { FirmwareDescriptor } from '../firmware/descriptor.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PlannedNvram } from './plan.ts';

export interface ChosenFirmware {
  readonly kind: 'uefi' | 'bios' | 'none';
  readonly descriptor: FirmwareDescriptor | null;
  readonly bios: string | null;
  readonly nvram: PlannedNvram | null;
}
export function planFirmware(_s: Settings, _f: HostFacts, _m: string, _d: Draft): ChosenFirmware {
  throw new FirmwareError('todo', { cause: UsageError });
}
