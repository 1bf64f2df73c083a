/**
 * One element of an object path for any text, as systemd makes it of names of units and machines: letters, and digits but
 * the first, stay; every other byte becomes `_` and two hexadecimal digits; nothing becomes `_` (bus_label_escape).
 */
export function escapeLabel(text: string): string {
  if (text === '') return '_';
  return [...Buffer.from(text)]
    .map((byte, index) => {
      const character = String.fromCharCode(byte);
      const stays = /[A-Za-z]/.test(character) || (index > 0 && /[0-9]/.test(character));
      return stays ? character : `_${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}
