import { dirname } from 'node:path';
import { asset } from '../assets.ts';
import { FirmwareError } from '../errors.ts';
import { noFirmwareError } from '../firmware/failure.ts';
import { firmwareRows, renderFirmwareList } from '../firmware/list.ts';
import { allFeatures, selectFirmware } from '../firmware/match.ts';
import { describeFirmware, searchFirmware } from '../firmware/search.ts';
import { type Environment, qemuArchitecture } from '../host/identity.ts';
import { probeQemu } from '../host/qemu.ts';
import { openPlaces } from '../launch/places.ts';
import { uefiRequest } from '../plan/firmware.ts';
import { requireMachineType } from '../plan/make-plan.ts';
import type { Settings } from '../settings/settings.ts';
import { isTerminal, writeErr, writeOut } from '../sys/stdio.ts';

/**
 * `--firmware=list`, `--firmware=describe` and `--firmware-features=list`: what this host has, a table on a terminal,
 * bare lines in a pipe, JSON with --json.
 */
export async function reportFirmware(settings: Settings, environment: Environment): Promise<number> {
  const { descriptors, problems } = await searchFirmware({ environment, home: environment['HOME'] ?? null });
  for (const { path, reason } of problems) {
    // Ours are there for every host; that one of them has nothing installed behind it is no problem of this one.
    if (dirname(path) !== asset('firmware')) writeErr(`vmspawn: ${path} is left out: ${reason}\n`);
  }
  if (settings.firmwareFeatures.list) {
    const features = allFeatures(descriptors);
    writeOut(settings.json ? `${JSON.stringify(features)}\n` : features.map((name) => `${name}\n`).join(''));
    return 0;
  }
  const architecture = qemuArchitecture();
  const request = uefiRequest(settings, { architecture }, await machineType(architecture, environment));
  const selection = selectFirmware(descriptors, request);
  if (settings.firmware === 'describe') {
    if (selection.chosen === null) throw noFirmwareError(request, selection, problems);
    writeOut(await describeFirmware(selection.chosen));
    return 0;
  }
  if (descriptors.length === 0) throw new FirmwareError('No firmware is installed');
  const form = settings.json ? 'json' : isTerminal(1) ? 'table' : 'paths';
  writeOut(renderFirmwareList(firmwareRows(descriptors, selection.chosen), form));
  return 0;
}

/** What auto would match against; a host without QEMU is asked as if it had the one that the descriptors name. */
async function machineType(
  architecture: string,
  environment: Environment,
): Promise<{ readonly name: string; readonly alias: string | null }> {
  const { cache } = openPlaces(environment);
  const qemu = await probeQemu({ cache, path: environment['PATH'] ?? '', architecture });
  cache.save();
  if (qemu.usable) return requireMachineType({ architecture }, qemu);
  return architecture === 'x86_64' ? { name: 'q35', alias: 'q35' } : { name: 'virt', alias: 'virt' };
}
