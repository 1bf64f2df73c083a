import { dirname, join } from 'node:path';
import { printable } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { locateImage } from '../image/locate.ts';
import { machineNameOf } from '../image/name.ts';
import { isUserMode } from '../launch/name.ts';
import type { Notice } from '../plan/plan.ts';
import { defaultSettings } from '../settings/defaults.ts';
import { findSettings, readSettings, type SettingsFile, settingsDirectories } from '../settings/search.ts';
import type { Settings } from '../settings/settings.ts';
import { parseCommandLine } from './parse.ts';

export interface CompleteSettings {
  readonly settings: Settings;
  /** The settings file that counts, or null. */
  readonly file: string | null;
  /** What of it was left out. */
  readonly notices: readonly Notice[];
}

export interface Circumstances {
  readonly cwd: string;
  readonly environment: Environment;
  /** In place of the usual ones; for tests. */
  readonly directories?: readonly string[];
}

/**
 * The settings of the machine's settings file with those of the command line over them: `settings` is what `words` alone
 * say. What the command line says counts, and what it adds to a list comes after the file's; with --settings=override it
 * is the other way round. Costs a few attempts to open a file where there is none.
 *
 * Throws UsageError with file and line, FileError for a file that cannot be read, ImageError where no image has the
 * machine's name.
 */
export async function addSettingsFile(
  words: readonly string[],
  settings: Settings,
  circumstances: Circumstances,
): Promise<CompleteSettings> {
  const none = { settings, file: null, notices: [] };
  if (settings.settingsFile === 'no') return none;
  const found = await search(settings, circumstances);
  if (found === null) return none;
  const { file, trusted } = found;
  // Loaded only where there is a file.
  const { applySettingsFile } = await import('./settings-keys.ts');
  const override = settings.settingsFile === 'override';
  const result = override ? settings : defaultSettings();
  const ignored = applySettingsFile(file, result, trusted || settings.settingsFile === 'trusted');
  const notices: Notice[] =
    ignored.length === 0
      ? []
      : [
          {
            level: 'warning',
            text:
              `${printable(file.path)}: ${ignored.map((key) => `${key}=`).join(', ')} left out, because a file beside an ` +
              'image is trusted no more than the image. Move it to /etc/vmspawn, or use --settings=trusted.',
          },
        ];
  return {
    settings: override ? result : parseCommandLine(words, { cwd: circumstances.cwd, base: result }).settings,
    file: file.path,
    notices,
  };
}

/** By the machine's name in the trusted directories, then beside its image. */
async function search(
  settings: Settings,
  { environment, directories }: Circumstances,
): Promise<{ file: SettingsFile; trusted: boolean } | null> {
  const { machine, linux } = settings;
  const source = settings.image ?? settings.directory;
  if (machine === null && source === null) return null;
  const name = machine ?? machineNameOf(source ?? '');
  const user = isUserMode(settings);
  const trusted = findSettings(name, directories ?? settingsDirectories({ user, environment }));
  if (trusted !== null) return { file: trusted, trusted: true };
  if (source === null && linux !== null) return null;
  const disk =
    source ?? (await locateImage(name, { user, environment, home: environment['HOME'] ?? null })).path;
  const beside = readSettings(join(dirname(disk), `${name}.vmspawn`));
  return beside === null ? null : { file: beside, trusted: false };
}
