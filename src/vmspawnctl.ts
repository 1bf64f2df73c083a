import { parseCtlCommandLine } from './cli/ctl/parse.ts';
import { say } from './cli/ctl/say.ts';
import { Front } from './cli/front.ts';
import { leave } from './cli/leave.ts';
import { describeFailure } from './cli/messages.ts';

/** The program vmspawnctl(1): from words to an exit status. */
async function main(words: readonly string[]): Promise<number> {
  const front = Front.take(process.env);
  try {
    const { command, machine, settings } = parseCtlCommandLine(words);
    if (settings.action !== 'run') {
      const { informCtl } = await import('./cli/ctl/help.ts');
      return informCtl(settings.action, process.env);
    }
    if (command === 'attach') {
      const { attach } = await import('./cli/ctl/attach.ts');
      return await attach(machine, settings, process.env, front);
    }
    const { showConsoleLog } = await import('./cli/ctl/console-log.ts');
    return await showConsoleLog(machine, settings, process.env);
  } catch (error) {
    say(describeFailure(error));
    return 1;
  }
}

void main(process.argv.slice(2)).then(leave);
