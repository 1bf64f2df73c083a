import { UsageError } from '../errors.ts';
import type { Settings } from '../settings/settings.ts';
import { unitProperty } from './unit-properties.ts';

/**
 * Throws UsageError where a slice or properties are wanted of a scope that nobody can give them to, and for a property
 * that no scope has or whose value is of another type.
 */
export function checkScopeOptions({ slice, properties, keepUnit, scope }: Settings): void {
  for (const { name, value } of properties) unitProperty(name, value);
  const [property] = properties;
  const wanted =
    slice !== null
      ? `--slice=${slice}`
      : property === undefined
        ? null
        : `--property=${property.name}=${property.value}`;
  if (wanted === null) return;
  if (keepUnit) {
    throw new UsageError(`${wanted} cannot be combined with --keep-unit, which makes no scope`, {
      hint: 'Set it for the unit that vmspawn runs in, or leave --keep-unit out.',
    });
  }
  if (scope === 'varlink') {
    throw new UsageError(
      `${wanted} cannot be combined with --scope=varlink: systemd-machined takes neither slice nor properties`,
      { hint: 'Use --scope=auto or --scope=dbus.' },
    );
  }
}
