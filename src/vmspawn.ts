import { parseCommandLine } from './cli/parse.ts';

/** The program vmspawn(1): from words to an exit status. */
async function main(words: readonly string[]): Promise<number> {
  try {
    const { action, settings } = parseCommandLine(words, { cwd: process.cwd() });
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
    const { addSettingsFile } = await import('./cli/settings-file.ts');
    const complete = await addSettingsFile(words, settings, { cwd: process.cwd(), environment: process.env });
    if (complete.notices.length > 0) {
      const { Messages } = await import('./cli/messages.ts');
      const { machine } = complete.settings;
      const messages = new Messages({ environment: process.env, quiet: false, machine });
      for (const notice of complete.notices) messages.notice(notice);
    }
    if (settings.dryRun !== null) {
      const { dryRun } = await import('./cli/dry-run.ts');
      return await dryRun(complete, process.env);
    }
    const { run } = await import('./cli/run.ts');
    return await run(complete.settings, process.env);
  } catch (error) {
    const { Messages } = await import('./cli/messages.ts');
    new Messages({ environment: process.env, quiet: false, machine: null }).failed(error, 1);
    return 1;
  }
}

void main(process.argv.slice(2)).then((status) => {
  // Not by itself: a terminal that is still being read would keep the process.
  process.exit(status);
});
