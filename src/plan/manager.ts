import { basename, dirname } from 'node:path';
import { HostError, UsageError } from '../errors.ts';
import type { HostFacts, ManagerFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type {
  PlannedManager,
  PlannedRegistration,
  PlannedSshKey,
  PlannedTreeCopy,
  PlannedUnit,
} from './plan.ts';
import { unitProperty } from './unit-properties.ts';
import { description, machineUnitName, property } from './units.ts';

/** Microseconds in a millisecond; units count in the former. */
const microseconds = 1_000;

/** Milliseconds that the guard gets for what comes after the guest's own time. */
const guardMargin = 30_000;

/** Milliseconds that QEMU gets after SIGTERM when the scope is stopped; the guest has had its time by then. */
const scopeStopTimeout = 10_000;

/** `infinity` for times in units: the greatest 64-bit number. */
const infinity = 2n ** 64n - 1n;

export interface ManagerInput {
  readonly settings: Settings;
  readonly facts: HostFacts;
  readonly machine: string;
  readonly uuid: string;
  readonly vsockCid: number | null;
  readonly runtimeDirectory: string;
  readonly control: string;
  readonly sshKey: PlannedSshKey | null;
  readonly treeCopy: PlannedTreeCopy | null;
}

/**
 * The machine's scope, guard and registration. null where no service manager looks after it. Throws HostError and
 * UsageError for what was asked for and cannot be had.
 */
export function planManager(input: ManagerInput): PlannedManager | null {
  const { settings, facts } = input;
  const manager = facts.manager;
  if (!manager.usable) return withoutManager(settings, manager.reason);
  const registration = planRegistration(input, manager);
  if (settings.keepUnit) {
    if (manager.ownUnit === null) {
      throw new HostError('--keep-unit: vmspawn does not run in a unit', {
        hint: 'Start it as a service (vmspawn@.service), with systemd-run, or without --keep-unit.',
      });
    }
    // machinectl terminate stops the unit of a machine: it must be the machine's alone.
    if (registration !== null && /^(session-.*\.scope|user@.*\.service|init\.scope)$/.test(manager.ownUnit)) {
      throw new HostError(
        `--keep-unit: vmspawn runs in ${manager.ownUnit}, which is not the machine's alone`,
        {
          hint: 'Start it as a service (vmspawn@.service), with systemd-run, or without --keep-unit; or use --register=no.',
        },
      );
    }
    return { kind: manager.kind, bus: manager.bus, scope: null, guard: null, registration };
  }
  const scope = planScope(input, manager, registration);
  checkUnitName(machineUnitName(input.machine, '-virtiofsd-00.service'), input.machine);
  return {
    kind: manager.kind,
    bus: manager.bus,
    scope,
    // One whose files the manager does not see could neither be run nor clean up.
    guard: manager.sameMounts ? planGuard(input, scope.name) : null,
    registration,
  };
}

/** Unit names end at 255 characters (systemd.unit(5)), and every hyphen of a machine's name becomes four of them. */
function checkUnitName(longest: string, machine: string): void {
  if (longest.length <= 255) return;
  throw new UsageError(`The machine's name ${machine} is too long for the names of its units`, {
    hint: 'Give it a shorter one with --machine=NAME, with fewer hyphens, or use --manager=none.',
  });
}

function withoutManager(settings: Settings, reason: string): null {
  const insisted: readonly (readonly [boolean, string])[] = [
    [settings.manager === 'system' || settings.manager === 'user', `--manager=${settings.manager}`],
    [settings.register === true, '--register=yes'],
    [settings.slice !== null, `--slice=${settings.slice}`],
    [settings.properties.length > 0, `--property=${settings.properties[0]?.name}`],
    [settings.scope !== 'auto', `--scope=${settings.scope}`],
  ];
  const [, option] = insisted.find(([given]) => given) ?? [];
  if (option === undefined) return null;
  throw new HostError(`${option} cannot be met: ${reason}`, {
    hint: 'Start the machine where systemd runs, or leave the option out.',
  });
}

function planRegistration(input: ManagerInput, manager: ManagerFacts): PlannedRegistration | null {
  const { settings, facts, machine, uuid, vsockCid, control, sshKey } = input;
  if (settings.register === false) return null;
  const { machined } = manager;
  if (!machined.usable) {
    if (settings.register === true) {
      throw new HostError(`--register=yes cannot be met: ${machined.reason}`, {
        hint: 'Install systemd-machined (Debian package systemd-container), or leave the option out.',
      });
    }
    return null;
  }
  return {
    required: settings.register === true,
    via: machined.via,
    socket: machined.socket,
    fields: {
      name: machine,
      id: uuid.replaceAll('-', ''),
      service: 'vmspawn',
      class: 'vm',
      ...(vsockCid === null ? {} : { vSockCid: vsockCid, sshAddress: `vsock/${vsockCid}` }),
      ...(vsockCid === null || sshKey === null ? {} : { sshPrivateKeyPath: sshKey.path }),
      ...(machined.controlAddress ? { controlAddress: control } : {}),
      ...(settings.askPassword && facts.terminal.interactive ? { allowInteractiveAuthentication: true } : {}),
    },
    leader: machined.controlAddress ? 'qemu' : 'relay',
  };
}

function planScope(
  { settings, machine }: ManagerInput,
  { machined }: ManagerFacts,
  registration: PlannedRegistration | null,
): PlannedUnit & { readonly via: 'varlink' | 'dbus' } {
  const name = machineUnitName(machine, '.scope');
  if (scopeVia(settings, machined, registration) === 'varlink')
    return { name, properties: [], via: 'varlink' };
  return {
    name,
    via: 'dbus',
    properties: [
      property('Description', 's', description(machine)),
      property('Slice', 's', sliceOf(settings)),
      property('CollectMode', 's', 'inactive-or-failed'),
      property('AddRef', 'b', true),
      property('TimeoutStopUSec', 't', scopeStopTimeout * microseconds),
      ...settings.properties.flatMap(({ name, value }) => unitProperty(name, value)),
    ],
  };
}

/**
 * machined makes the scope where it can be asked to and nothing else is asked for: it takes neither a slice nor
 * properties. Before it knew control addresses the leader is not QEMU, and there it moves the leader only; then the
 * manager itself is the simpler way.
 */
function scopeVia(
  settings: Settings,
  machined: ManagerFacts['machined'],
  registration: PlannedRegistration | null,
): 'varlink' | 'dbus' {
  const able = registration !== null && machined.usable && machined.allocatesUnits;
  if (settings.scope === 'varlink') {
    if (able) return 'varlink';
    const reason =
      registration === null
        ? machined.usable
          ? 'the machine is not registered (--register=no)'
          : machined.reason
        : 'this machined makes no scopes (systemd 257 and newer do)';
    throw new HostError(`--scope=varlink cannot be met: ${reason}`, {
      hint: 'Use --scope=dbus or --scope=auto.',
    });
  }
  if (settings.scope === 'dbus' || !able) return 'dbus';
  const plain = settings.slice === null && settings.properties.length === 0;
  return plain && machined.controlAddress ? 'varlink' : 'dbus';
}

/**
 * Units that come after the scope are stopped before it; so this one, when the scope, its slice or the host is stopped,
 * asks the supervisor to power the guest off and waits for that. Stopped, it takes the runtime directory and the copy of
 * the tree with it, also after a SIGKILL of the supervisor.
 */
function planGuard(input: ManagerInput, scope: string): PlannedUnit {
  const { settings, facts, machine, runtimeDirectory, control, treeCopy } = input;
  const [program = '', ...words] = facts.childCommand;
  const timeout = settings.shutdownTimeout;
  return {
    name: machineUnitName(machine, '-guard.service'),
    properties: [
      property('Description', 's', `${description(machine)}: orderly shutdown`),
      property('Type', 's', 'oneshot'),
      property('RemainAfterExit', 'b', true),
      property('BindsTo', 'as', [scope]),
      property('After', 'as', [scope]),
      property('Slice', 's', sliceOf(settings)),
      property('CollectMode', 's', 'inactive-or-failed'),
      property('RuntimeDirectory', 'as', [`${basename(dirname(runtimeDirectory))}/${machine}`]),
      property('RuntimeDirectoryMode', 'u', 0o700),
      property('ExecStopEx', 'a(sasas)', [
        [program, [program, ...words, 'stop', control], ['no-env-expand']],
      ]),
      ...(treeCopy === null
        ? []
        : [
            property('ExecStopPostEx', 'a(sasas)', [
              [treeCopy.remove[0], treeCopy.remove, ['no-env-expand']],
            ]),
          ]),
      property('TimeoutStopUSec', 't', timeout === null ? infinity : (timeout + guardMargin) * microseconds),
    ],
  };
}

/** The slice of everything that belongs to the machine. */
export function sliceOf(settings: Settings): string {
  return settings.slice ?? 'machine.slice';
}
