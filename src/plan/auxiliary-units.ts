import type { UnitProperty } from '../dbus/property.ts';
import type { PlannedAuxiliary, PlannedManager, PlannedSandbox, PlannedUnit } from './plan.ts';
import { description, machineUnitName, property } from './units.ts';

/** The first descriptor that a service gets from its socket (sd_listen_fds(3)). */
const socketDescriptor = 3;

/**
 * A daemon as a pair of transient units: the socket listens at once, its first connection starts the service. One that
 * makes its socket itself is a service alone. All are bound to the scope. `Before=` the scope makes them outlive QEMU when
 * all is stopped; `After=` would end the daemon first.
 */
export function auxiliaryUnits(
  auxiliary: Omit<PlannedAuxiliary, 'units'>,
  machine: string,
  manager: Pick<PlannedManager, 'kind'>,
  scope: PlannedUnit,
  slice: string,
): NonNullable<PlannedAuxiliary['units']> {
  const suffix = `-${auxiliary.name}`;
  const common: readonly UnitProperty[] = [
    property('Description', 's', `${description(machine)}: ${auxiliary.description}`),
    property('BindsTo', 'as', [scope.name]),
    property('Before', 'as', [scope.name]),
    property('CollectMode', 's', 'inactive-or-failed'),
    // What is left of a daemon that has died stays to be asked about until we are gone.
    property('AddRef', 'b', true),
    property('Slice', 's', slice),
  ];
  const words = auxiliary.arguments.map((word) => word.replace('{socket}', String(socketDescriptor)));
  return {
    socket:
      auxiliary.socket.kind === 'path'
        ? null
        : {
            name: machineUnitName(machine, `${suffix}.socket`),
            properties: [
              ...common,
              property('Listen', 'a(ss)', [['Stream', auxiliary.socket.path]]),
              property('SocketMode', 'u', 0o600),
              property('RemoveOnStop', 'b', true),
            ],
          },
    service: {
      name: machineUnitName(machine, `${suffix}.service`),
      properties: [
        ...common,
        property('ExecStartEx', 'a(sasas)', [
          [auxiliary.binary, [auxiliary.binary, ...words], ['no-env-expand']],
        ]),
        property('WorkingDirectory', 's', auxiliary.workingDirectory),
        ...(auxiliary.sandbox === undefined
          ? hardening(auxiliary, manager.kind)
          : shareHardening(auxiliary.sandbox, manager.kind)),
      ],
    },
  };
}

/**
 * What a daemon does without that speaks with QEMU over one socket and works on one directory. A user's manager could
 * give it namespaces only together with a user namespace, which many hosts deny; there it is the system calls alone.
 */
function hardening(
  { workingDirectory }: Pick<PlannedAuxiliary, 'workingDirectory'>,
  kind: PlannedManager['kind'],
): readonly UnitProperty[] {
  const everywhere = [
    property('NoNewPrivileges', 'b', true),
    property('UMask', 'u', 0o077),
    property('RestrictAddressFamilies', '(bas)', [true, ['AF_UNIX']]),
    // swtpm sets up a filter of its own; before systemd 254 the group does not have the call for it.
    property('SystemCallFilter', '(bas)', [true, ['@system-service', 'seccomp']]),
    property('SystemCallArchitectures', 'as', ['native']),
    property('MemoryDenyWriteExecute', 'b', true),
    property('LockPersonality', 'b', true),
    property('RestrictRealtime', 'b', true),
    property('RestrictSUIDSGID', 'b', true),
    property('RestrictNamespaces', 't', 0),
  ];
  if (kind === 'user') return everywhere;
  return [
    ...everywhere,
    // The image, and with it the state, may lie in a directory that is closed to others than its owner.
    property('CapabilityBoundingSet', 't', capabilityMask(['CAP_DAC_OVERRIDE'])),
    property('ProtectSystem', 's', 'strict'),
    property('ReadWritePaths', 'as', [workingDirectory]),
    property('PrivateNetwork', 'b', true),
    property('PrivateDevices', 'b', true),
    property('ProtectClock', 'b', true),
    property('ProtectControlGroups', 'b', true),
    property('ProtectHostname', 'b', true),
    property('ProtectKernelLogs', 'b', true),
    property('ProtectKernelModules', 'b', true),
    property('ProtectKernelTunables', 'b', true),
    property('ProtectProc', 's', 'invisible'),
  ];
}

/**
 * The same for a daemon that acts for all users of a guest in a directory: it makes namespaces, gives files away and sets
 * their set-user-ID bits, and then drops what it does not need by itself.
 */
function shareHardening(sandbox: PlannedSandbox, kind: PlannedManager['kind']): readonly UnitProperty[] {
  const limits = [
    property('LimitNOFILE', 't', descriptorLimit),
    property('LimitNOFILESoft', 't', descriptorLimit),
  ];
  // For a user's manager a filter means NoNewPrivileges=, which newuidmap(1) does not work with.
  if (sandbox.helpers) return limits;
  const everywhere = [
    ...limits,
    property('NoNewPrivileges', 'b', true),
    property('RestrictAddressFamilies', '(bas)', [true, ['AF_UNIX']]),
    property('SystemCallFilter', '(bas)', [true, ['@system-service', '@mount', 'seccomp']]),
    property('SystemCallArchitectures', 'as', ['native']),
    property('MemoryDenyWriteExecute', 'b', true),
    property('LockPersonality', 'b', true),
    property('RestrictRealtime', 'b', true),
  ];
  if (kind === 'user') return everywhere;
  return [
    ...everywhere,
    property('CapabilityBoundingSet', 't', capabilityMask(sandbox.capabilities)),
    property('ProtectSystem', 's', 'strict'),
    property('ReadWritePaths', 'as', sandbox.writablePaths),
    property('ReadOnlyPaths', 'as', sandbox.readOnlyPaths),
    property('PrivateNetwork', 'b', true),
    property('PrivateDevices', 'b', true),
    property('ProtectClock', 'b', true),
    property('ProtectHostname', 'b', true),
    property('ProtectKernelLogs', 'b', true),
    property('ProtectKernelModules', 'b', true),
  ];
}

function capabilityMask(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + 2 ** (capabilities[name] ?? 0), 0);
}

/** As many files as the guest may have open and know of; what systemd gives services at most if not told otherwise. */
const descriptorLimit = 524_288;

/** Numbers of linux/capability.h. */
const capabilities: { readonly [name: string]: number } = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_SYS_ADMIN: 21,
  CAP_SETFCAP: 31,
};
