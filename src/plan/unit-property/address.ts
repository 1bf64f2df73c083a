/** Address families of Linux (socket(2)). */
export const familyNumbers: ReadonlyMap<string, number> = new Map([
  ['ipv4', 2],
  ['ipv6', 10],
]);

/** Family, address in network byte order, and prefix length: the bus type (iayu). */
export type AddressPrefix = readonly [family: number, address: readonly number[], length: number];

const [ipv4, ipv6] = [2, 10];

function of4(first: number, second: number, length: number): AddressPrefix {
  return [ipv4, [first, second, 0, 0], length];
}

function of6(first: number, second: number, last: number, length: number): AddressPrefix {
  return [ipv6, [first, second, ...new Array<number>(13).fill(0), last], length];
}

/** Words of IPAddressAllow= (systemd.resource-control(5)) and what they stand for. */
const words: ReadonlyMap<string, readonly AddressPrefix[]> = new Map([
  ['any', [of4(0, 0, 0), of6(0, 0, 0, 0)]],
  ['localhost', [of4(127, 0, 8), of6(0, 0, 1, 128)]],
  ['link-local', [of4(169, 254, 16), of6(0xfe, 0x80, 0, 64)]],
  ['multicast', [of4(224, 0, 4), of6(0xff, 0, 0, 8)]],
]);

/** An address with or without a prefix length, or a word for several of them; null for anything else. */
export function addressPrefixes(text: string): readonly AddressPrefix[] | null {
  const known = words.get(text);
  if (known !== undefined) return known;
  const [, address = '', lengthText] = /^([0-9A-Fa-f:.]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? [];
  const bytes = address.includes(':') ? bytesOf6(address) : bytesOf4(address);
  if (bytes === null) return null;
  const length = lengthText === undefined ? bytes.length * 8 : Number(lengthText);
  return length > bytes.length * 8 ? null : [[bytes.length === 4 ? ipv4 : ipv6, bytes, length]];
}

function bytesOf4(text: string): number[] | null {
  const parts = text.split('.');
  const bytes = parts.map((part) => (/^(0|[1-9][0-9]{0,2})$/.test(part) ? Number(part) : 256));
  return parts.length === 4 && bytes.every((byte) => byte < 256) ? bytes : null;
}

/** RFC 4291, section 2.2: eight groups, one run of zeros left out, the last two perhaps as an IPv4 address. */
function bytesOf6(text: string): number[] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [head = null, tail = []] = halves.map((half, index) => groups(half, index === halves.length - 1));
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return null;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function groups(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const bytes: number[] = [];
  for (const [index, part] of parts.entries()) {
    const embedded = last && index === parts.length - 1 && part.includes('.') ? bytesOf4(part) : null;
    if (embedded !== null) bytes.push(...embedded);
    else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 0xff);
    } else return null;
  }
  return bytes;
}
