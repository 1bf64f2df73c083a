/**
 * A plan as JSON text. JSON has no 64-bit numbers: those of unit properties that do not fit a double become strings of
 * digits.
 */
export function planAsJson(plan: object): string {
  return `${JSON.stringify(plan, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value), 2)}\n`;
}
