import { InterruptedError } from '../errors.ts';
import type { Notice, Plan, PlannedNvram, PlannedTpmState } from '../plan/plan.ts';

type Make = (signal: AbortSignal) => Promise<void>;

/**
 * What outlives the run. Looks at every place first; what it gives then makes it: the image gets its size, NVRAM and TPM
 * state are made, each complete or not there. To be called when nothing else can be wrong with what the user has asked for.
 * Both throw FileError, FirmwareError, ImageError, AuxiliaryError, InterruptedError.
 */
export async function checkState(
  { descriptors, growth, nvram, tpmState }: Plan,
  notice: (notice: Notice) => void,
): Promise<Make> {
  const makeNvram = nvram === null ? null : await checkedNvram(nvram, notice);
  await checkTransient(descriptors);
  const makeTpm = tpmState === null ? null : await checkedTpm(tpmState);
  return async (signal) => {
    if (growth !== null) {
      const { growImage } = await import('./growth.ts');
      if (signal.aborted) throw InterruptedError.of(signal);
      growImage(growth);
    }
    await makeNvram?.(signal);
    if (signal.aborted) throw InterruptedError.of(signal);
    await makeTpm?.(signal);
  };
}

/** Variables that are not kept: a template that the user has named can be anything. */
async function checkTransient(descriptors: Plan['descriptors']): Promise<void> {
  for (const descriptor of descriptors) {
    if (descriptor.kind !== 'copy' || descriptor.ownTemplate === undefined) continue;
    const { checkTemplate } = await import('../firmware/nvram.ts');
    await checkTemplate({ template: descriptor.path, ownTemplate: descriptor.ownTemplate });
  }
}

/** Loaded only where there is state: it costs 6 ms. */
async function checkedNvram(nvram: PlannedNvram, notice: (notice: Notice) => void): Promise<Make | null> {
  const { checkNvram, firmwareOf, prepareNvram } = await import('../firmware/nvram.ts');
  if ((await checkNvram(nvram)) === 'missing') {
    return async () => {
      await prepareNvram(nvram);
    };
  }
  const madeFor = await firmwareOf(nvram.path);
  if (madeFor !== null && madeFor !== nvram.firmware) {
    const text = `The UEFI variables ${nvram.path} were made for the firmware ${madeFor}, and ${nvram.firmware} is used now.`;
    notice({ level: 'warning', text });
  }
  return null;
}

async function checkedTpm(state: PlannedTpmState): Promise<Make> {
  const { checkTpmState, prepareTpmState } = await import('../auxiliary/tpm-state.ts');
  if (state.persistent) await checkTpmState(state);
  return (signal) => prepareTpmState(state, signal);
}
