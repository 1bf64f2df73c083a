import { printable } from '../errors.ts';
import { unitProperty } from '../plan/unit-properties.ts';
import { type Assignment, parseSettingsFile, refuseLine } from '../settings/file.ts';
import { nearest } from '../settings/nearest.ts';
import type { SettingsFile } from '../settings/search.ts';
import type { Settings } from '../settings/settings.ts';
import { type Option, sections } from './options/option.ts';
import { options } from './options.ts';
import { shortened } from './values.ts';

/**
 * Puts what a settings file says into `settings`. From a file that is not trusted only what cannot reach the host counts;
 * gives the keys that were left out for that, each once. Throws UsageError with file and line.
 */
export function applySettingsFile(file: SettingsFile, settings: Settings, trusted: boolean): string[] {
  const ignored = new Set<string>();
  for (const assignment of parseSettingsFile(file.content, file.path)) {
    const option = optionOf(assignment, file.path);
    const { key, line, value } = assignment;
    if (option.effect.kind !== 'setting') continue;
    if (!trusted && !isHarmless(option, value)) {
      ignored.add(key);
      continue;
    }
    const label = `${printable(file.path)}:${line}: ${key}=`;
    option.effect.set(settings, value, { label, cwd: null });
    if (key === 'Property' && value !== '') checkProperty(settings, label);
    const { firmware, firmwareFeatures } = settings;
    if (firmware === 'list' || firmware === 'describe' || firmwareFeatures.list) {
      throw refuseLine(file.path, line, `${key}=${value} is for the command line only`);
    }
  }
  return [...ignored];
}

/** Here already, as long as the line is known; the plan does it for the command line. */
function checkProperty({ properties }: Settings, label: string): void {
  const last = properties.at(-1);
  if (last !== undefined) unitProperty(last.name, last.value, label);
}

/** Whether the setting stays within the guest, so that whoever made the image may have it. */
function isHarmless({ harmless }: Option, value: string): boolean {
  return harmless === true || (harmless === 'unless-path' && !value.includes('/'));
}

function optionOf({ key, section, line }: Assignment, path: string): Option {
  const known = options.filter((option) => option.key !== null && option.hidden !== true);
  const option = options.find((candidate) => candidate.key === key);
  if (option === undefined) {
    const near = nearest(
      key,
      known.map((candidate) => candidate.key ?? ''),
    );
    throw refuseLine(
      path,
      line,
      `${printable(shortened(key))}= is no setting${near === null ? '' : `, the nearest known one is ${near}=`}`,
      'See vmspawn.settings(5).',
    );
  }
  const right = sections[option.group];
  if (section !== right) {
    throw refuseLine(
      path,
      line,
      `${key}= belongs into the section [${right}] and not into [${printable(shortened(section))}]`,
    );
  }
  return option;
}
