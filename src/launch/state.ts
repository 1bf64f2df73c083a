import { InterruptedError } from '../errors.ts';
import type { Notice, Plan, PlannedNvram, PlannedTpmState } from '../plan/plan.ts';

type Make = () => Promise<void>;

/**
 * What outlives the run: the image gets its size, NVRAM and TPM state are made, each complete or not there. Nothing is made
 * before every place was looked at. Throws FileError, FirmwareError, ImageError, AuxiliaryError, InterruptedError.
 */
export async function prepareState(
  { descriptors, growth, nvram, tpmState }: Plan,
  signal: AbortSignal,
  notice: (notice: Notice) => void,
): Promise<void> {
  const makeNvram = nvram === null ? null : await checkedNvram(nvram, notice);
  await checkTransient(descriptors);
  const makeTpm = tpmState === null ? null : await checkedTpm(tpmState, signal);
  if (signal.aborted) throw InterruptedError.of(signal);
  if (growth !== null) {
    const { growImage } = await import('./growth.ts');
    growImage(growth);
  }
  await makeNvram?.();
  if (signal.aborted) throw InterruptedError.of(signal);
  await makeTpm?.();
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

async function checkedTpm(state: PlannedTpmState, signal: AbortSignal): Promise<Make> {
  const { checkTpmState, prepareTpmState } = await import('../auxiliary/tpm-state.ts');
  if (state.persistent) await checkTpmState(state);
  return () => prepareTpmState(state, signal);
}
