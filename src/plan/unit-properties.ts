import type { UnitProperty } from '../dbus/property.ts';
import { UsageError } from '../errors.ts';
import { nearest } from '../settings/nearest.ts';
import type { Kind } from './unit-property/kind.ts';
import * as lists from './unit-property/lists.ts';
import * as scalars from './unit-property/scalars.ts';

/*
 * The assignments of `systemctl set-property` and `systemd-run --property=` that a scope takes, in systemd 252 to 262. A
 * manager that is too old, or too new, for one of them says so itself.
 */

const { boolean, text, timeSpan, word } = scalars;

/** systemd.resource-control(5). */
const resources: readonly (readonly [Kind, string])[] = [
  [scalars.weight(1n, 10_000n, { idle: true }), 'CPUWeight StartupCPUWeight'],
  [scalars.quota, 'CPUQuota'],
  [scalars.timeSpanOrNone, 'CPUQuotaPeriodSec ManagedOOMMemoryPressureDurationSec'],
  [lists.numberSet, 'AllowedCPUs StartupAllowedCPUs AllowedMemoryNodes StartupAllowedMemoryNodes'],
  [scalars.memoryLeast, 'MemoryMin MemoryLow DefaultMemoryMin DefaultMemoryLow'],
  [scalars.memoryMost, 'MemoryHigh MemoryMax MemorySwapMax MemoryZSwapMax MemoryLimit'],
  [boolean, 'MemoryZSwapWriteback CoredumpReceive'],
  [scalars.tasksMost, 'TasksMax'],
  [boolean, 'CPUAccounting MemoryAccounting IOAccounting TasksAccounting IPAccounting BlockIOAccounting'],
  [scalars.weight(1n, 10_000n), 'IOWeight StartupIOWeight'],
  [lists.deviceWeight(1n, 10_000n), 'IODeviceWeight'],
  [lists.deviceLimit, 'IOReadBandwidthMax IOWriteBandwidthMax IOReadIOPSMax IOWriteIOPSMax'],
  [lists.deviceLatency, 'IODeviceLatencyTargetSec'],
  [lists.addresses, 'IPAddressAllow IPAddressDeny'],
  [lists.paths, 'IPIngressFilterPath IPEgressFilterPath'],
  [lists.bpfProgram, 'BPFProgram'],
  [lists.socketRules, 'SocketBindAllow SocketBindDeny'],
  [lists.interfaces, 'RestrictNetworkInterfaces'],
  [text, 'BindNetworkInterface'],
  [lists.packetFilterSets, 'NFTSet'],
  [lists.deviceRule, 'DeviceAllow'],
  [word('auto', 'closed', 'strict'), 'DevicePolicy'],
  [lists.delegation, 'Delegate'],
  [text, 'DelegateSubgroup'],
  [lists.words, 'DisableControllers OOMRules'],
  [word('auto', 'kill'), 'ManagedOOMSwap ManagedOOMMemoryPressure'],
  [scalars.percentage, 'ManagedOOMMemoryPressureLimit'],
  [word('none', 'avoid', 'omit'), 'ManagedOOMPreference'],
  [text, 'MemoryPressureWatch CPUPressureWatch IOPressureWatch'],
  [timeSpan, 'MemoryPressureThresholdSec CPUPressureThresholdSec IOPressureThresholdSec'],
  // Of the first version of control groups; newer managers ignore them.
  [scalars.weight(2n, 262_144n), 'CPUShares StartupCPUShares'],
  [scalars.weight(10n, 1_000n), 'BlockIOWeight StartupBlockIOWeight'],
  [lists.deviceWeight(10n, 1_000n), 'BlockIODeviceWeight'],
  [lists.deviceLimit, 'BlockIOReadBandwidth BlockIOWriteBandwidth'],
];

/** systemd.scope(5) and systemd.kill(5). */
const scopes: readonly (readonly [Kind, string])[] = [
  [timeSpan, 'RuntimeMaxSec RuntimeRandomizedExtraSec TimeoutStopSec'],
  [word('continue', 'stop', 'kill'), 'OOMPolicy'],
  [text, 'User Group'],
  [word('control-group', 'mixed', 'process', 'none'), 'KillMode'],
  [scalars.signal, 'KillSignal RestartKillSignal FinalKillSignal WatchdogSignal'],
  [boolean, 'SendSIGKILL SendSIGHUP'],
];

/**
 * systemd.unit(5): what makes sense for a unit that exists only while it runs. Not what keeps it from starting or ends it at
 * once (RefuseManualStart=, StopWhenUnneeded=, conditions), nor JobTimeoutSec=, which no manager takes.
 */
const units: readonly (readonly [Kind, string])[] = [
  [text, 'Description JobTimeoutAction JobTimeoutRebootArgument RebootArgument'],
  [text, 'FailureAction SuccessAction OnFailureJobMode OnSuccessJobMode'],
  [word('inactive', 'inactive-or-failed'), 'CollectMode'],
  [lists.words, 'Documentation RequiresMountsFor WantsMountsFor'],
  [lists.words, 'Requires Requisite Wants BindsTo PartOf Upholds Conflicts Before After'],
  [lists.words, 'OnFailure OnSuccess PropagatesStopTo StopPropagatedFrom'],
  [timeSpan, 'JobRunningTimeoutSec'],
  [boolean, 'DefaultDependencies IgnoreOnIsolate'],
  [scalars.exitStatus, 'FailureActionExitStatus SuccessActionExitStatus'],
];

const kinds: ReadonlyMap<string, Kind> = new Map(
  [...resources, ...scopes, ...units].flatMap(([kind, names]) =>
    names.split(' ').map((name) => [name, kind] as const),
  ),
);

/** Every setting that is known here. */
export const unitPropertyNames: readonly string[] = [...kinds.keys()];

/**
 * What an assignment NAME=VALUE is on the bus, in the syntax and with the types of `systemctl set-property`: sizes are
 * bytes and times microseconds as bigint, masks and addresses arrays of bytes. A list has the entries of this assignment
 * only, an empty one clears what stands before it. Throws UsageError for a setting that no scope has, and for a value
 * that is not of its type; `label` is where it was said.
 */
export function unitProperty(name: string, value: string, label = '--property='): readonly UnitProperty[] {
  const shown = `${label}${name}=${value.length <= 100 ? value : `${value.slice(0, 97)}...`}`;
  if (name === 'Slice') {
    throw new UsageError(`${shown} is given by an option of its own`, { hint: `Use --slice=${value}` });
  }
  const kind = kinds.get(name);
  if (kind === undefined) {
    const near = nearest(name, unitPropertyNames);
    throw new UsageError(
      `${shown} names no property of a scope${near === null ? '' : `, the nearest known one is ${near}`}`,
      { hint: 'See systemd.resource-control(5), systemd.scope(5) and systemd.kill(5).' },
    );
  }
  const typed = value.includes('\0') ? null : kind.read(name, value);
  if (typed === null) {
    throw new UsageError(`${shown} has a value of another type, expected ${kind.expected}`);
  }
  return [typed];
}
