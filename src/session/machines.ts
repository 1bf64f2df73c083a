import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MachineError, UsageError } from '../errors.ts';
import { type Environment, runtimeBase } from '../host/identity.ts';
import { isMachineName } from '../image/name.ts';
import { VarlinkClient } from '../varlink/client.ts';
import { VarlinkConnectError } from '../varlink/errors.ts';

/** Whose machines are meant: root's, one's own, or both, one's own first. */
export type Whose = 'system' | 'user' | 'all';

/** A machine that runs, or is about to. */
export interface FoundMachine {
  readonly name: string;
  readonly whose: Exclude<Whose, 'all'>;
  /** Path of its control socket. */
  readonly control: string;
}

interface Place {
  readonly whose: Exclude<Whose, 'all'>;
  readonly directory: string;
}

/** Milliseconds for a machine to listen whose runtime directory is there, and between two looks. */
const startTimeout = 30_000;
const startPause = 100;

/** Directories of machines. Of one that somebody else could have made nothing is read: there may be anything in it. */
function places(whose: Whose, environment: Environment): Place[] {
  const uid = process.getuid?.() ?? 0;
  const system: Place = { whose: 'system', directory: runtimeBase(0, environment) };
  // Root may have a user manager, and machines of it.
  const runtime = environment['XDG_RUNTIME_DIR'];
  const own =
    uid !== 0 ? runtimeBase(uid, environment) : runtime?.startsWith('/') ? join(runtime, 'vmspawn') : null;
  const all: Place[] = own === null ? [system] : [{ whose: 'user', directory: own }, system];
  return all.filter(
    (place) => (whose === 'all' || whose === place.whose) && belongsTo(place.directory, [uid, 0]),
  );
}

function belongsTo(directory: string, uids: readonly number[]): boolean {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  return found?.isDirectory() === true && uids.includes(found.uid);
}

/** The machines that run and that we may control, by name. */
export async function runningMachines(whose: Whose, environment: Environment): Promise<FoundMachine[]> {
  const candidates = places(whose, environment).flatMap((place) =>
    names(place.directory).map((name) => located(place, name)),
  );
  const found = await Promise.all(
    candidates.map(async (machine) => {
      const client = await connected(machine);
      await client?.[Symbol.asyncDispose]();
      return client === null ? [] : [machine];
    }),
  );
  return found.flat().sort((a, b) => a.name.localeCompare(b.name));
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory).filter(isMachineName);
  } catch {
    // The system's are for root only.
    return [];
  }
}

function located({ whose, directory }: Place, name: string): FoundMachine {
  return { name, whose, control: join(directory, name, 'control') };
}

/** A client of a machine's control socket; null where nobody listens, or not for us. */
async function connected({ control }: FoundMachine): Promise<VarlinkClient | null> {
  try {
    return await VarlinkClient.connect(control);
  } catch (error) {
    if (error instanceof VarlinkConnectError) return null;
    throw error;
  }
}

/**
 * The machine of that name, or the only one that runs when `name` is null. A machine that has only begun to start is
 * waited for; `waiting` is called when that is so. Throws UsageError for what is no name and where there is a choice,
 * MachineError when it does not run, or not for us.
 */
export async function findMachine(
  name: string | null,
  whose: Whose,
  environment: Environment,
  waiting: (name: string) => void,
): Promise<FoundMachine> {
  if (name === null) return onlyMachine(await runningMachines(whose, environment));
  if (!isMachineName(name)) throw new UsageError(`${name} is no name of a machine`);
  const candidates = places(whose, environment).map((place) => located(place, name));
  const end = performance.now() + startTimeout;
  for (let told = false; ; ) {
    const states = await Promise.all(candidates.map(stateOf));
    const running = candidates[states.indexOf('running')];
    if (running !== undefined) return running;
    if (!states.includes('starting') || performance.now() > end) {
      const others = listed(await runningMachines(whose, environment));
      throw new MachineError(
        `No machine ${name} is running${others === '' ? '' : `, but ${others}`}`,
        states.includes('not-ours') ? { hint: 'Those of the system are for root only.' } : {},
      );
    }
    if (!told) waiting(name);
    told = true;
    await sleep(startPause);
  }
}

function onlyMachine(found: readonly FoundMachine[]): FoundMachine {
  const [only, ...more] = found;
  if (only === undefined) throw new MachineError('No machine is running');
  if (more.length === 0) return only;
  throw new UsageError(`More than one machine is running: ${listed(found)}`, { hint: 'Name one of them.' });
}

function listed(machines: readonly FoundMachine[]): string {
  return machines.map(({ name, whose }) => (whose === 'user' ? `${name} (user)` : name)).join(', ');
}

async function stateOf(machine: FoundMachine): Promise<'running' | 'starting' | 'not-ours' | 'none'> {
  try {
    const client = await VarlinkClient.connect(machine.control);
    await client[Symbol.asyncDispose]();
    return 'running';
  } catch (error) {
    if (!(error instanceof VarlinkConnectError)) throw error;
    if (error.code === 'EACCES') return 'not-ours';
    if (error.code !== 'ENOENT') return 'none';
    const directory = join(machine.control, '..');
    return lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === true ? 'starting' : 'none';
  }
}
