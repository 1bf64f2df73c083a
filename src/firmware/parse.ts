import type { FirmwareDescriptor, FirmwareMapping, FlashFile } from './descriptor.ts';

/** Why a descriptor file cannot be used, as a sentence part: it names the JSON path of what is wrong. */
export class DescriptorError extends Error {
  constructor(reason: string, options?: { cause?: unknown }) {
    super(reason, options);
    this.name = 'DescriptorError';
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Parses the text of a firmware descriptor (docs/interop/firmware.json of QEMU). All six members are mandatory,
 * unknown ones are allowed. `path` is only passed on. Throws DescriptorError.
 */
export function parseDescriptor(path: string, text: string): FirmwareDescriptor {
  const root = object(parseJson(text), 'the descriptor');
  return {
    path,
    description: string(root, 'description'),
    interfaceTypes: words(root, 'interface-types'),
    mapping: mapping(member(root, 'mapping')),
    targets: array(root, 'targets').map((value, index) => {
      const at = `targets[${index}]`;
      const target = object(value, at);
      return { architecture: word(target, 'architecture', at), machines: words(target, 'machines', at) };
    }),
    features: words(root, 'features'),
    tags: strings(root, 'tags'),
  };
}

/** Parses JSON text. Throws DescriptorError. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new DescriptorError('it is not JSON', { cause });
  }
}

function mapping(value: unknown): FirmwareMapping {
  const members = object(value, 'mapping');
  const device = word(members, 'device', 'mapping');
  if (device === 'memory') return { device, filename: fileName(members, 'mapping') };
  if (device !== 'flash') return { device: 'other', name: device };
  const executable = flashFile(members, 'executable');
  // QEMU 7.0 added `mode`; a descriptor from before says nothing and means a code and a variable store.
  const mode = 'mode' in members ? word(members, 'mode', 'mapping') : 'split';
  if (mode === 'split')
    return { device, mode, executable, nvramTemplate: flashFile(members, 'nvram-template') };
  if (mode === 'stateless' || mode === 'combined') return { device, mode, executable };
  throw new DescriptorError(
    `mapping.mode is ${quoted(mode)}, which is none of split, stateless and combined`,
  );
}

function flashFile(parent: JsonObject, key: string): FlashFile {
  const at = `mapping.${key}`;
  const file = object(member(parent, key, 'mapping'), at);
  const format = word(file, 'format', at);
  if (format !== 'raw' && format !== 'qcow2') {
    throw new DescriptorError(`${at}.format is ${quoted(format)}, which is neither raw nor qcow2`);
  }
  return { filename: fileName(file, at), format };
}

/** The run opens the file itself: what QEMU would look up in its own data directory cannot be used. */
function fileName(parent: JsonObject, at: string): string {
  const name = string(parent, 'filename', at);
  if (!name.startsWith('/')) {
    throw new DescriptorError(`${at}.filename is ${quoted(name)}, which is no absolute path`);
  }
  if (name.includes('\0')) throw new DescriptorError(`${at}.filename contains a NUL byte`);
  return name;
}

function member(parent: JsonObject, key: string, at = ''): unknown {
  if (!Object.hasOwn(parent, key)) throw new DescriptorError(`${join(at, key)} is missing`);
  return parent[key];
}

function object(value: unknown, at: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) wrongType(at, 'an object', value);
  return value as JsonObject;
}

function array(parent: JsonObject, key: string, at = ''): readonly unknown[] {
  const value = member(parent, key, at);
  if (!Array.isArray(value)) wrongType(join(at, key), 'an array', value);
  return value as unknown[];
}

function string(parent: JsonObject, key: string, at = ''): string {
  const value = member(parent, key, at);
  if (typeof value !== 'string') wrongType(join(at, key), 'a string', value);
  return value;
}

function strings(parent: JsonObject, key: string, at = ''): readonly string[] {
  return array(parent, key, at).map((value, index) => {
    if (typeof value !== 'string') wrongType(`${join(at, key)}[${index}]`, 'a string', value);
    return value;
  });
}

/** A string that is compared and listed one a line, so it must be visible and free of control characters. */
function word(parent: JsonObject, key: string, at = ''): string {
  return checkWord(string(parent, key, at), join(at, key));
}

function words(parent: JsonObject, key: string, at = ''): readonly string[] {
  return strings(parent, key, at).map((value, index) => checkWord(value, `${join(at, key)}[${index}]`));
}

function checkWord(value: string, at: string): string {
  if (value === '' || /[\u0000-\u0020\u007f-\u009f]/.test(value)) {
    throw new DescriptorError(`${at} is ${quoted(value)}, which is no word`);
  }
  return value;
}

function join(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`;
}

function wrongType(at: string, wanted: string, value: unknown): never {
  const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
  throw new DescriptorError(`${at} must be ${wanted}, not ${found.replace('a object', 'an object')}`);
}

function quoted(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value);
}
