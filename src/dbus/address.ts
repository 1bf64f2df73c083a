import { BusConnectError } from './errors.ts';

/** One place where a bus may listen. */
export interface BusPlace {
  /** As it was written. */
  readonly text: string;
  /** For net.connect: a path, or a NUL and the name of an abstract socket. */
  readonly path: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The address of the system bus: DBUS_SYSTEM_BUS_ADDRESS, or where every system has it. */
export function systemBusAddress(environment: Environment): string {
  return environment['DBUS_SYSTEM_BUS_ADDRESS'] || 'unix:path=/run/dbus/system_bus_socket';
}

/** The address of the user's bus: DBUS_SESSION_BUS_ADDRESS, or `bus` in XDG_RUNTIME_DIR; null without both. */
export function userBusAddress(environment: Environment): string | null {
  const address = environment['DBUS_SESSION_BUS_ADDRESS'];
  if (address) return address;
  const directory = environment['XDG_RUNTIME_DIR'];
  return directory ? `unix:path=${escapeValue(`${directory}/bus`)}` : null;
}

/**
 * The Unix sockets that an address names, in its order (D-Bus specification, "Server Addresses"). Other transports are
 * left out. An abstract socket is reached from Node 22 on only: before, net pads its name. Throws BusConnectError when none is left.
 */
export function parseBusAddress(address: string): BusPlace[] {
  const places = address.split(';').flatMap((text): BusPlace[] => {
    const [, list] = /^unix:(.*)$/s.exec(text) ?? [];
    const keys = new Map(
      list?.split(',').map((pair): [string, string] => {
        const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? [];
        return [key, unescapeValue(value)];
      }),
    );
    const [path, abstract] = [keys.get('path'), keys.get('abstract')];
    if (path && !path.includes('\0')) return [{ text, path }];
    return abstract ? [{ text, path: `\0${abstract}` }] : [];
  });
  if (places.length > 0) return places;
  throw new BusConnectError(
    `The bus address "${address}" names no Unix socket (unix:path=PATH or unix:abstract=NAME)`,
  );
}

function unescapeValue(value: string): string {
  const bytes = value.replace(/%[0-9a-fA-F]{2}|./gsu, (part) =>
    part.length === 3 && part.startsWith('%')
      ? String.fromCharCode(Number.parseInt(part.slice(1), 16))
      : Buffer.from(part).toString('latin1'),
  );
  return Buffer.from(bytes, 'latin1').toString();
}

function escapeValue(value: string): string {
  return [...Buffer.from(value)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[-0-9A-Za-z_/.\\*]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}
