import { QemuError } from '../errors.ts';
import type { Chardev, Properties, PropertyValue, QemuConfiguration } from './configuration.ts';

const MEBIBYTE = 1024 ** 2;

/**
 * The words after the program's name for a QEMU of version 7.2 or newer (qemu-system(1)). What QEMU takes as JSON
 * (-blockdev, -device, -netdev, -object) is said in JSON, everything else as key=value lists. The order is fixed:
 * objects and back ends come before the devices that name them. Throws QemuError for what no argument can carry.
 */
export function renderArguments(configuration: QemuConfiguration): string[] {
  const { machine, accelerator, kernel } = configuration;
  const words: string[] = ['-nodefaults', '-no-user-config'];
  const add = (option: string, value: string) => words.push(option, value);

  add('-name', list(null, { guest: configuration.name, 'debug-threads': true }));
  add('-uuid', configuration.uuid);
  add('-machine', list(machine.type, machine.properties));
  add('-accel', list(accelerator.name, accelerator.properties));
  add('-cpu', configuration.cpu);
  add('-smp', list(null, { cpus: configuration.smp.cpus }));
  add('-m', list(null, memory(configuration.memory)));
  if (configuration.sandbox !== null) add('-sandbox', list('on', configuration.sandbox));
  for (const { driver, property, value } of configuration.globals) {
    add('-global', list(null, { driver, property, value }));
  }
  add('-display', configuration.display);
  for (const { fd, set, opaque } of configuration.fdSets) add('-add-fd', list(null, { fd, set, opaque }));
  for (const object of configuration.objects) add('-object', json(object));
  for (const device of configuration.chardevs) add('-chardev', chardev(device));
  for (const chardev of configuration.serials) add('-serial', `chardev:${chardev}`);
  for (const { chardev, mode } of configuration.monitors) add('-mon', list(null, { chardev, mode }));
  for (const { type, id, chardev } of configuration.tpmdevs) add('-tpmdev', list(type, { id, chardev }));
  for (const node of configuration.blockNodes) add('-blockdev', json(node));
  for (const netdev of configuration.netdevs) add('-netdev', json(netdev));
  for (const device of configuration.devices) add('-device', json(device));
  for (const value of configuration.smbios11) add('-smbios', list(null, { type: 11, value }));
  for (const path of configuration.smbios11Files) add('-smbios', list(null, { type: 11, path }));
  for (const { name, file } of configuration.fwCfg) add('-fw_cfg', list(null, { name, file }));
  if (configuration.bios !== null) add('-bios', configuration.bios);
  if (kernel !== null) {
    add('-kernel', kernel.image);
    if (kernel.initrd !== null) add('-initrd', kernel.initrd);
    if (kernel.commandLine !== null) add('-append', kernel.commandLine);
  }
  if (configuration.panicAction !== null) add('-action', list(null, { panic: configuration.panicAction }));
  if (configuration.paused) words.push('-S');
  words.push(...configuration.extra);

  for (const word of words) {
    if (word.includes('\0')) {
      throw new QemuError(`The QEMU argument ${JSON.stringify(word)} has a NUL character in it`);
    }
  }
  return words;
}

/** QEMU refuses an escaped NUL inside of JSON with words that do not say where it is. */
function json(value: object): string {
  const text = JSON.stringify(value);
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(text)) {
    throw new QemuError(`The QEMU argument ${text} has a NUL character in it`);
  }
  return text;
}

/** Without a suffix -m means MiB. */
function memory({ size, max, slots }: QemuConfiguration['memory']): Properties {
  return {
    size: byteSize(size),
    ...(slots === null ? {} : { slots }),
    ...(max === null ? {} : { maxmem: byteSize(max) }),
  };
}

function byteSize(bytes: number): string {
  return bytes % MEBIBYTE === 0 ? `${bytes / MEBIBYTE}M` : `${bytes}B`;
}

function chardev(device: Chardev): string {
  const { backend, id } = device;
  const mux: Properties = device.mux === undefined ? {} : { mux: device.mux };
  switch (backend) {
    case 'null':
      return list(backend, { id, ...mux });
    case 'stdio':
      return list(backend, { id, signal: device.signal, ...mux });
    case 'socket':
      if ('fd' in device) return list(backend, { id, fd: device.fd, ...mux });
      // QEMU as server would otherwise wait for a client before it starts the machine.
      return list(backend, {
        id,
        path: device.path,
        server: device.server,
        ...(device.server ? { wait: false } : {}),
        ...mux,
      });
  }
}

/**
 * `first,key=value,key=value` as QemuOpts and keyval read it: a comma in a value is doubled, nothing else is special
 * in a value (util/keyval.c, util/qemu-option.c). `first` is the value of the option's implied key.
 */
export function list(first: string | null, properties: Properties): string {
  const parts = Object.entries(properties).map(([key, value]) => {
    if (!/^[A-Za-z_][\w.-]*$/.test(key)) {
      throw new QemuError(`${JSON.stringify(key)} cannot be the name of a QEMU property`);
    }
    return `${key}=${doubleCommas(text(value))}`;
  });
  // An implied value with an equals sign in it would be read as a key of its own.
  if (first?.includes('=')) {
    throw new QemuError(`${JSON.stringify(first)} cannot be the first word of a QEMU argument`);
  }
  return [...(first === null ? [] : [doubleCommas(first)]), ...parts].join(',');
}

function doubleCommas(value: string): string {
  return value.replaceAll(',', ',,');
}

function text(value: PropertyValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return String(value);
}
