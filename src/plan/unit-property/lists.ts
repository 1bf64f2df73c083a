import { splitWords } from '../../host/split-words.ts';
import { booleanWord, bytesOf } from '../../settings/quantities.ts';
import { type AddressPrefix, addressPrefixes, familyNumbers } from './address.ts';
import { type Kind, kind, list, renamed } from './kind.ts';
import { microseconds, most, wholeNumber } from './scalars.ts';

/** Words that blanks separate and quotes hold together. */
export const words = list('as', 'words separated by blanks, with an end to every quote', splitWords);

/** One path as it is, of a list that each assignment adds to. */
export const paths = list('as', 'a path', (value) => [value]);

/** The highest processor or memory node that is believed in, so that the mask stays short. */
const highestNumber = 8191;

/** Numbers and ranges such as `0-3,8` as a mask, the lowest number in the lowest bit of the first byte; empty for all. */
export const numberSet = kind('ay', 'numbers and ranges such as 0-3,8', (value) => {
  const bytes: number[] = [];
  for (const item of value.split(/[\s,]+/).filter((part) => part !== '')) {
    const [, from = '', to = from] = /^([0-9]{1,4})(?:-([0-9]{1,4}))?$/.exec(item) ?? [];
    if (from === '' || Number(to) < Number(from) || Number(to) > highestNumber) return null;
    for (let number = Number(from); number <= Number(to); number += 1) {
      while (bytes.length <= number >> 3) bytes.push(0);
      bytes[number >> 3] = (bytes[number >> 3] ?? 0) | (1 << (number & 7));
    }
  }
  return bytes;
});

/** A device's path, a blank, and a number that `read` understands: a(st). */
function perDevice(expected: string, read: (value: string) => bigint | null): Kind {
  return list('a(st)', expected, (value) => {
    const [, path = '', amount = ''] = /^(\S+)\s+(.*)$/.exec(value) ?? [];
    const number = path === '' ? null : read(amount);
    return number === null || number > most ? null : [[path, number]];
  });
}

export function deviceWeight(least: bigint, limit: bigint): Kind {
  return perDevice(`a path and a whole number from ${least} to ${limit}`, (value) =>
    wholeNumber(value, least, limit),
  );
}

/** Bytes or operations a second, K, M and G by 1000 (systemd.resource-control(5)). */
export const deviceLimit = perDevice(
  'a path and a number with a suffix K, M, G or T, or infinity',
  (value) => (value === 'infinity' ? most : bytesOf(value, 1000n)),
);

export const deviceLatency = renamed(perDevice('a path and a time span', microseconds), (name) =>
  name.replace(/Sec$/, 'USec'),
);

/** A device node or a class of devices, and what may be done with it (everything, if nothing is said). */
export const deviceRule = list('a(ss)', 'a device and some of r, w and m, such as /dev/kvm rw', (value) => {
  const [, path = '', access = ''] = /^(\S+)(?:\s+([rwm]{1,3}))?$/.exec(value) ?? [];
  return path === '' ? null : [[path, access]];
});

export const addresses = list(
  'a(iayu)',
  'IP addresses with or without a prefix length, any, localhost, link-local or multicast',
  (value) => {
    const found: AddressPrefix[] = [];
    for (const item of value.split(/\s+/).filter((part) => part !== '')) {
      const prefixes = addressPrefixes(item);
      if (prefixes === null) return null;
      found.push(...prefixes);
    }
    return found;
  },
);

const protocols: ReadonlyMap<string, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
]);

/** `[ipv4:|ipv6:][tcp:|udp:]PORT|FROM-TO|any` as family, protocol, number of ports (0 for all) and first port. */
function socketRule(value: string): readonly unknown[] | null {
  if (value === 'any') return [[0, 0, 0, 0]];
  const parts = value.split(':');
  const family = familyNumbers.get(parts[0] ?? '');
  if (family !== undefined) parts.shift();
  const protocol = protocols.get(parts[0] ?? '');
  if (protocol !== undefined) parts.shift();
  const said = family !== undefined || protocol !== undefined;
  if (parts.length === 0 || (parts.length === 1 && parts[0] === 'any')) {
    return said ? [[family ?? 0, protocol ?? 0, 0, 0]] : null;
  }
  const [, from = '', to = from] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(parts.join(':')) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || first < 1 || last < first || last > 65_535) return null;
  return [[family ?? 0, protocol ?? 0, last - first + 1, first]];
}

export const socketRules = list(
  'a(iiqq)',
  'a port, a range of ports or any, perhaps after ipv4:, ipv6:, tcp: or udp:',
  socketRule,
);

/** Names of network interfaces: those allowed, or after a tilde those refused. */
export const interfaces = kind('(bas)', 'names of network interfaces, perhaps after ~', (value) => {
  const inverted = value.startsWith('~');
  const names = splitWords(inverted ? value.slice(1) : value);
  if (names?.every((name) => /^[^\s/:]{1,15}$/.test(name)) !== true) return null;
  return [!inverted, names];
});

/** Where a BPF program is attached, a colon, and its path in the BPF file system. */
export const bpfProgram = list('a(ss)', 'an attach type, a colon and a path', (value) => {
  const [, type = '', path = ''] = /^([a-z0-9_]+):(\/.+)$/.exec(value) ?? [];
  return type === '' ? null : [[type, path]];
});

/** Numbers of the bus for what a set's elements are and for families of nftables; a scope has a control group only. */
const setSources: ReadonlyMap<string, number> = new Map([['cgroup', 3]]);
const setFamilies: ReadonlyMap<string, number> = new Map([
  ['inet', 1],
  ['ip', 2],
  ['arp', 3],
  ['netdev', 5],
  ['bridge', 7],
  ['ip6', 10],
]);

export const packetFilterSets = list('a(iiss)', 'cgroup:FAMILY:TABLE:SET', (value) => {
  const entries: unknown[] = [];
  for (const item of splitWords(value) ?? ['']) {
    const [source = '', family = '', table = '', set = '', ...more] = item.split(':');
    const numbers = [setSources.get(source), setFamilies.get(family)];
    if (numbers.includes(undefined) || table === '' || set === '' || more.length > 0) return null;
    entries.push([...numbers, table, set]);
  }
  return entries;
});

/** A boolean, or the controllers that are handed on. */
export const delegation: Kind = {
  expected: 'yes, no, or names of controllers',
  read(name, value) {
    const all = booleanWord(value);
    if (all !== undefined) return { name, signature: 'b', value: all };
    return words.read('DelegateControllers', value);
  },
};
