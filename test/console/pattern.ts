/** Bytes [offset, offset + length) of an endless text in which no two places look the same for long. */
export function pattern(offset: number, length: number): Buffer {
  const line = 16;
  const first = Math.floor(offset / line);
  const count = Math.ceil((offset + length) / line) - first;
  let text = '';
  for (let index = first; index < first + count; index += 1) text += `${String(index).padStart(14, '.')}\r\n`;
  return Buffer.from(text, 'latin1').subarray(offset - first * line, offset - first * line + length);
}
