import { printable } from '../errors.ts';
import type { Environment } from '../host/identity.ts';
import { gatherFacts } from '../launch/facts.ts';
import { nameMachine } from '../launch/name.ts';
import { openPlaces } from '../launch/places.ts';
import { renderScript } from '../plan/by-hand.ts';
import { makePlan } from '../plan/make-plan.ts';
import type { Settings } from '../settings/settings.ts';
import { writeErr, writeOut } from '../sys/stdio.ts';

/** `--dry-run`: the plan in place of the run, as JSON or as a shell script. Makes and starts nothing. */
export async function dryRun(wanted: Settings, environment: Environment): Promise<number> {
  const { machine, settings } = await nameMachine(wanted, environment);
  const facts = await gatherFacts(settings, machine, environment, openPlaces(environment).cache);
  const plan = makePlan(settings, facts, machine);
  for (const notice of plan.notices) writeErr(`vmspawn: ${printable(notice.text)}\n`);
  writeOut(settings.dryRun === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : renderScript(plan));
  return 0;
}
