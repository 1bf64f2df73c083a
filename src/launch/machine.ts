import { existsSync, statSync } from 'node:fs';
import { startEarlyChild } from '../child/early-child.ts';
import { DisposalStack } from '../disposal.ts';
import { AuxiliaryError, describeError, ImageError, InterruptedError } from '../errors.ts';
import { Connections } from '../host/connections.ts';
import type { Environment } from '../host/identity.ts';
import { chooseManager } from '../host/manager-kind.ts';
import type { PassedDevices } from '../host/passed.ts';
import type { Manager } from '../manager/manager.ts';
import { ChildManager } from '../manager/none.ts';
import { imageLock, machineLock } from '../plan/locks.ts';
import { makePlan } from '../plan/make-plan.ts';
import type { Notice, Plan, PlannedLock, PlannedTreeCopy } from '../plan/plan.ts';
import type { Settings } from '../settings/settings.ts';
import { codeOf } from '../sys/error-code.ts';
import { startAuxiliaries } from './auxiliaries.ts';
import { readCredentials } from './credentials.ts';
import { checkDescriptorLimit, explainedByLimit } from './descriptor-limit.ts';
import { enterQemu } from './enter-qemu.ts';
import { gatherFacts } from './facts.ts';
import { GuestChannel } from './guest-channel.ts';
import { listenForGuest } from './guest-listener.ts';
import { GuestWord } from './guest-word.ts';
import { MachineLocks } from './locks.ts';
import { MachineControl } from './machine-control.ts';
import { nameMachine } from './name.ts';
import { openPlaces } from './places.ts';
import type { RunningMachine } from './running-machine.ts';
import { makeRuntimeDirectory } from './runtime-directory.ts';
import { sideBySide } from './side-by-side.ts';
import { checkState } from './state.ts';
import { Taps } from './taps.ts';
import type { TreeCopy } from './tree-copy.ts';

export interface StartRequest {
  readonly settings: Settings;
  readonly environment: Environment;
  /** Gives the start up; whatever exists by then is given back. Has no effect on a machine that runs. */
  readonly signal: AbortSignal;
  /** Devices that the service manager has opened for us. They stay the caller's. */
  readonly passed?: PassedDevices;
  notice(notice: Notice): void;
  /** What the guest says that it does now (sd_notify(3), STATUS=), printable and short. */
  status?(text: string): void;
}

/**
 * Starts a machine: resolves when its processors run. Everything is checked before anything is made; the machine's name
 * and its image are locked before that; a start that fails or is given up leaves nothing behind.
 * Throws a VmspawnError with the first cause.
 */
export async function startMachine(request: StartRequest): Promise<RunningMachine> {
  checkDescriptorLimit();
  // A second attempt finds out the same things as the first; a machine that runs may well get into the same state twice.
  const told = new Set<string>();
  let starting = true;
  const notice: StartRequest['notice'] = (one) => {
    if (starting && told.has(one.text)) return;
    if (starting) told.add(one.text);
    request.notice(one);
  };
  let settings = request.settings;
  try {
    for (;;) {
      try {
        return await attempt({ ...request, notice, settings });
      } catch (error) {
        if (!(error instanceof AuxiliaryError) || error.required || request.signal.aborted) throw error;
        const { what, without } = dispensable(error.daemon);
        notice({ level: 'warning', text: `The machine gets no ${what}: ${describeError(error)}` });
        settings = { ...settings, ...without };
      }
    }
  } finally {
    starting = false;
    told.clear();
  }
}

/** What a machine is without a daemon that it can do without. */
function dispensable(daemon: string): { what: string; without: Partial<Settings> } {
  return daemon === 'vsock'
    ? { what: 'vsock device', without: { vsock: false } }
    : { what: 'TPM', without: { tpm: false } };
}

/** One start, which can also be given up through the machine's control socket. */
async function attempt(wanted: StartRequest): Promise<RunningMachine> {
  const start = new AbortController();
  const signal = AbortSignal.any([wanted.signal, start.signal]);
  try {
    return await makeMachine({ ...wanted, signal }, (reason) => start.abort(new Error(reason)));
  } catch (error) {
    if (signal.aborted && stemsFrom(error, signal.reason)) throw InterruptedError.of(signal);
    throw explainedByLimit(error);
  }
}

/**
 * Whether an error only says that somebody has given up waiting. Not every error after an abort does: a start that has
 * failed is also told by its own guard to power off.
 */
function stemsFrom(error: unknown, reason: unknown): boolean {
  if (error === reason) return true;
  return error instanceof Error && error.cause !== undefined && stemsFrom(error.cause, reason);
}

async function makeMachine(request: StartRequest, giveUp: (reason: string) => void): Promise<RunningMachine> {
  const { environment, signal } = request;
  await using stack = new DisposalStack();
  const { machine, settings } = await nameMachine(request.settings, environment);
  const places = openPlaces(environment);
  const locks = stack.use(MachineLocks.open(places.locks, machine));
  locks.take(machineLock(machine));
  if (settings.image !== null) locks.take(lockOfImage(settings.image, settings));
  giveUpIf(signal);

  // The child costs a few milliseconds of its own, which pass while the host is being looked at.
  const child = stack.use(startEarlyChild({ signal }));
  const connections = stack.use(new Connections(signal));
  const facts = await gatherFacts(settings, machine, environment, places.cache, {
    choice: chooseManager(settings.manager, environment),
    connections,
    flavour: child.flavour,
    passed: request.passed,
  });
  const plan = makePlan(settings, facts, machine);
  for (const lock of plan.locks) locks.take(lock);
  for (const notice of plan.notices) request.notice(notice);
  giveUpIf(signal);

  const manager = await makeManager(plan, connections, request);
  // The runtime directory of a supervisor that was killed goes with its units, and ours must not go with it.
  if (plan.manager?.scope != null || existsSync(plan.runtimeDirectory)) await manager.clear(signal);
  // Not side by side with the units, which would only be made to be given up.
  await checkForwarding(plan);
  const makeState = await checkState(plan, request.notice);
  giveUpIf(signal);
  stack.use(makeRuntimeDirectory(plan.runtimeDirectory));
  // Removed after the daemon is gone that serves it.
  const treeCopy = plan.treeCopy === null ? null : stack.use(await ownTreeCopy(plan.treeCopy));
  const taps = stack.use(new Taps(plan.descriptors));
  stack.use(manager);
  const control = new MachineControl(giveUp);
  manager.onRequest((wish) => {
    if (wish === 'power-off') control.machine.powerOff();
    else control.machine.reboot().catch(() => {});
  });
  // Closed before the manager takes its units back: a guard that is being stopped waits for that.
  stack.use(control);
  // Whoever is told the control address may use it at once; otherwise it has time until QEMU starts.
  if (plan.manager !== null) await control.open(plan.control);
  const listener = listenForGuest(plan.readiness.vsock);
  const word = new GuestWord({
    readiness: plan.readiness,
    notice: request.notice,
    status: (text) => request.status?.(text),
  });
  const channel = stack.use(new GuestChannel({ listener, receive: (message) => word.receive(message) }));
  stack.use(word);
  let credentials: ReadonlyMap<number, Uint8Array> = new Map();
  await sideBySide<void>(
    [
      (each) => manager.enter(child, each),
      async (each) => {
        credentials = await prepareCredentials(plan, listener?.address ?? null, stack, each);
      },
    ],
    signal,
  );
  // After all that can be refused: what is made here stays.
  await makeState(signal);
  const auxiliaries = await startAuxiliaries(plan.auxiliaries, treeCopy, manager, stack, signal);
  giveUpIf(signal);
  const parts = { plan, child, manager, control, auxiliaries, word, channel, credentials, taps };
  return await enterQemu(parts, stack, request);
}

/** Loaded only where ports are forwarded. */
async function checkForwarding({ ports }: Plan): Promise<void> {
  if (ports === undefined) return;
  const { checkPorts } = await import('./ports.ts');
  await checkPorts(ports);
}

/** Loaded only where a copy is wanted. */
async function ownTreeCopy(plan: PlannedTreeCopy): Promise<TreeCopy> {
  const { TreeCopy } = await import('./tree-copy.ts');
  return new TreeCopy(plan);
}

/** The code for service managers is loaded only where one looks after the machine. */
async function makeManager(
  plan: Plan,
  connections: Connections,
  { environment, notice }: StartRequest,
): Promise<Manager> {
  if (plan.manager === null) return new ChildManager(environment);
  const { UnitManager } = await import('../manager/systemd.ts');
  return new UnitManager({ machine: plan.machine, plan: plan.manager, connections, environment, notice });
}

/** The SSH key, made and the stack's, and every credential, read: contents of anonymous files by their numbers. */
async function prepareCredentials(
  { descriptors, machine, sshKey }: Plan,
  notifyAddress: string | null,
  stack: DisposalStack,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Uint8Array>> {
  let publicKey: string | undefined;
  if (sshKey !== null) {
    const { makeSshKey } = await import('./ssh-key.ts');
    ({ publicKey } = stack.use(await makeSshKey(sshKey, `vmspawn-${machine}`)));
  }
  const made = {
    ...(publicKey === undefined ? {} : { 'ssh-public-key': publicKey }),
    ...(notifyAddress === null ? {} : { 'notify-address': notifyAddress }),
  };
  return await readCredentials(descriptors, made, signal);
}

/** As the plan will have it; taken before the host is looked at, so that nothing of that changes meanwhile. */
function lockOfImage(path: string, { ephemeral, imageDiskType }: Settings): PlannedLock {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return imageLock(
      path,
      `${dev}:${ino}`,
      ephemeral || imageDiskType === 'scsi-cd' ? 'shared' : 'exclusive',
    );
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new ImageError(`Image ${path} does not exist`, { hint: 'Check the path given with --image=.' });
    }
    throw new ImageError(`Image ${path} cannot be read`, { cause: error });
  }
}

/** Between two effects of a start: has it been given up? */
function giveUpIf(signal: AbortSignal): void {
  if (signal.aborted) throw InterruptedError.of(signal);
}
