import { existsSync } from 'node:fs';
import { nativeChild } from '../child/child-program.ts';
import { printable } from '../errors.ts';
import { Connections } from '../host/connections.ts';
import type { Environment } from '../host/identity.ts';
import { chooseManager } from '../host/manager-kind.ts';
import { gatherFacts } from '../launch/facts.ts';
import { nameMachine } from '../launch/name.ts';
import { openPlaces } from '../launch/places.ts';
import { renderScript } from '../plan/by-hand.ts';
import { planAsJson } from '../plan/json.ts';
import { makePlan } from '../plan/make-plan.ts';
import { writeErr, writeOut } from '../sys/stdio.ts';
import type { CompleteSettings } from './settings-file.ts';

/** `--dry-run`: the plan in place of the run, as JSON or as a shell script. Makes and starts nothing. */
export async function dryRun(complete: CompleteSettings, environment: Environment): Promise<number> {
  if (complete.file !== null) writeErr(`vmspawn: Settings are read from ${printable(complete.file)}.\n`);
  const { machine, settings } = await nameMachine(complete.settings, environment);
  await using connections = new Connections(new AbortController().signal);
  const choice = chooseManager(settings.manager, environment);
  const { cache } = openPlaces(environment);
  const facts = await gatherFacts(settings, machine, environment, cache, {
    choice,
    connections,
    flavour: existsSync(nativeChild()) ? 'native' : 'node',
  });
  const plan = makePlan(settings, facts, machine);
  for (const notice of plan.notices) writeErr(`vmspawn: ${printable(notice.text)}\n`);
  writeOut(settings.dryRun === 'json' ? planAsJson(plan) : renderScript(plan));
  return 0;
}
