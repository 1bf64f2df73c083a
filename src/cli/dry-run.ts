import { printable } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { gatherFacts } from '../launch/facts.ts';
import { nameMachine } from '../launch/name.ts';
import { openPlaces } from '../launch/places.ts';
import { renderScript } from '../plan/by-hand.ts';
import { makePlan } from '../plan/make-plan.ts';
import { writeErr, writeOut } from '../sys/stdio.ts';
import type { CompleteSettings } from './settings-file.ts';

/** `--dry-run`: the plan in place of the run, as JSON or as a shell script. Makes and starts nothing. */
export async function dryRun(complete: CompleteSettings, environment: Environment): Promise<number> {
  if (complete.file !== null) writeErr(`vmspawn: Settings are read from ${printable(complete.file)}.\n`);
  const { machine, settings } = await nameMachine(complete.settings, environment);
  const facts = await gatherFacts(settings, machine, environment, openPlaces(environment).cache);
  const plan = makePlan(settings, facts, machine);
  for (const notice of plan.notices) writeErr(`vmspawn: ${printable(notice.text)}\n`);
  writeOut(settings.dryRun === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : renderScript(plan));
  return 0;
}
