import { Front } from './cli/front.ts';
import { leave } from './cli/leave.ts';
import { parseCommandLine } from './cli/parse.ts';
import { describeError } from './errors.ts';
import type { Settings } from './settings/settings.ts';
import { writeErr } from './sys/stdio.ts';

/** The program vmspawn(1): from words to an exit status. */
async function main(words: readonly string[]): Promise<number> {
  const front = Front.take(process.env);
  let machine: string | null = null;
  try {
    const { action, settings } = parseCommandLine(words, { cwd: process.cwd() });
    machine = settings.machine;
    if (action === 'help' || action === 'version') {
      const { inform } = await import('./cli/inform.ts');
      return inform(action, settings, process.env);
    }
    if (action === 'clean-up') {
      const { cleanUp } = await import('./launch/clean-up.ts');
      return await cleanUp(settings.machine, process.env);
    }
    if (settings.firmware === 'list' || settings.firmware === 'describe' || settings.firmwareFeatures.list) {
      const { reportFirmware } = await import('./cli/firmware-report.ts');
      return await reportFirmware(settings, process.env);
    }
    if (settings.detach && front?.kind !== 'background') {
      const { startInBackground } = await import('./cli/background.ts');
      return await startInBackground(words, process.env);
    }
    const { addSettingsFile } = await import('./cli/settings-file.ts');
    const complete = await addSettingsFile(words, settings, { cwd: process.cwd(), environment: process.env });
    if (complete.notices.length > 0) {
      const { Messages } = await import('./cli/messages.ts');
      const messages = new Messages({ environment: process.env, quiet: false, machine });
      for (const notice of complete.notices) messages.notice(notice);
    }
    if (settings.detach) {
      const { backgroundSettings } = await import('./cli/background.ts');
      return await run(backgroundSettings(complete.settings), front);
    }
    if (settings.dryRun !== null) {
      const { dryRun } = await import('./cli/dry-run.ts');
      return await dryRun(complete, process.env);
    }
    return await run(complete.settings, front);
  } catch (error) {
    const { Messages } = await import('./cli/messages.ts');
    const { ManagerNotifier } = await import('./cli/notify.ts');
    new Messages({ environment: process.env, quiet: false, machine }).failed(error, 1);
    new ManagerNotifier(process.env).exiting(1, error);
    return 1;
  }
}

async function run(settings: Settings, front: Front | null): Promise<number> {
  const { run } = await import('./cli/run.ts');
  return await run(settings, process.env, front);
}

/** Exit status of a crash (sysexits.h, EX_SOFTWARE): the service is started again after it. */
const crashed = 70;

process.on('uncaughtException', (error) => {
  writeErr(`vmspawn: ${describeError(error)}\n`);
  process.exit(crashed);
});

void main(process.argv.slice(2)).then(leave);
