/**
 * A plan as JSON text for people to look at: the user's secrets are left out. JSON has no 64-bit numbers: those of unit
 * properties that do not fit a double become strings of digits.
 */
export function planAsJson(plan: object): string {
  return `${JSON.stringify(plan, shown, 2)}\n`;
}

function shown(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  const secret = typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'secret';
  return secret ? { kind: 'secret', base64: '(left out)' } : value;
}
