import type { UnitProperty } from '../dbus/property.ts';

/** A machine's name as part of a unit's name: escaped as systemd.unit(5) has it and as machined names its scopes. */
export function escapeUnitName(name: string): string {
  const bytes = [...Buffer.from(name)];
  return bytes
    .map((byte, index) => {
      const character = String.fromCharCode(byte);
      if (character === '/') return '-';
      const plain = /[A-Za-z0-9:_.]/.test(character) && !(character === '.' && index === 0);
      return plain ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

/** The names of a machine's units: `machine-NAME.scope` and what goes with it. */
export function machineUnitName(machine: string, suffix: string): string {
  return `machine-${escapeUnitName(machine)}${suffix}`;
}

/** One property of a transient unit. */
export function property(name: string, signature: string, value: unknown): UnitProperty {
  return { name, signature, value };
}

/** How the descriptions of all of a machine's units begin. */
export function description(machine: string): string {
  return `Virtual Machine ${machine}`;
}
