import assert from 'node:assert/strict';
import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { VmspawnError } from '../../src/errors.ts';
import { checkState } from '../../src/launch/state.ts';
import { makePlan } from '../../src/plan/make-plan.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { SettingsInput } from '../../src/settings/settings.ts';
import { debian12, layer, plain, settings } from '../plan/hosts.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const place = temporaryDirectory();
const image = write(join(place, 'disk.raw'));
truncateSync(image, 4096);
const { dev, ino } = statSync(image, { bigint: true });

/** Of a machine whose image is to have 8192 bytes, where it has 4096 now. */
function planned(input: SettingsInput): Plan {
  const top = layer({ path: image, identity: `${dev}:${ino}`, size: 4096, virtualSize: 4096 });
  const facts = {
    ...debian12,
    image: { layers: [top] as const, looksLike: null },
    // The one whose template is on each host that has the package.
    firmware: { ...debian12.firmware, descriptors: [plain] },
  };
  const wanted = { growImage: 8192, tpm: false, efiNvramState: 'off', ...input } as const;
  return makePlan(settings(wanted), facts, 'debian');
}

async function prepare(input: SettingsInput, signal = new AbortController().signal): Promise<void> {
  const make = await checkState(planned(input), () => {});
  assert.equal(statSync(image).size, 4096);
  await make(signal);
}

test('an image is not enlarged for a start that is given up, or that cannot be', async () => {
  await assert.rejects(prepare({}, AbortSignal.abort(new Error('enough'))), { code: 'INTERRUPTED' });
  const efiNvramTemplate = write(join(place, 'text'), 'text');
  const refused = prepare({ efiNvramTemplate });
  await assert.rejects(refused, (error: VmspawnError) => {
    assert.equal(error.code, 'FIRMWARE');
    assert.match(
      error.message,
      /^--efi-nvram-template=.*text does not fit the firmware, whose own template is/,
    );
    assert.match(error.hint ?? '', /--firmware=/);
    return true;
  });
  assert.equal(statSync(image).size, 4096);
  await prepare({});
  assert.equal(statSync(image).size, 8192);
});
