import { accessSync, constants, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { asset } from '../assets.ts';
import { FirmwareError, printable } from '../errors.ts';
import { codeOf } from '../sys/error-code.ts';
import type { FirmwareDescriptor, FirmwareProblem } from './descriptor.ts';
import { DescriptorError, parseDescriptor, parseJson } from './parse.ts';
import { readDescriptor } from './read.ts';

/** A host has about ten descriptors. More than this many are not read: a directory can hold anything. */
export const descriptorCountLimit = 500;

export interface FirmwareSearch {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Home directory of the user, or null where there is none. */
  readonly home: string | null;
  /** In place of the usual ones; for tests. */
  readonly directories?: readonly string[];
}

/**
 * The directories in which firmware descriptors are looked for, the most specific first: those of the user, of the
 * administrator, of the XDG data directories, of the distribution, and last our own.
 * Source: docs/interop/firmware.json of QEMU, XDG Base Directory Specification (relative entries are invalid).
 */
export function firmwareDirectories({ environment, home }: FirmwareSearch): readonly string[] {
  const absolute = (path: string | undefined) => (path?.startsWith('/') ? path : undefined);
  const inHome = (path: string) => (home === null ? undefined : join(home, path));
  const dataDirectories = environment['XDG_DATA_DIRS'] || '/usr/local/share:/usr/share';
  const bases = [
    absolute(environment['XDG_CONFIG_HOME']) ?? inHome('.config'),
    '/etc',
    absolute(environment['XDG_DATA_HOME']) ?? inHome('.local/share'),
    ...dataDirectories.split(':').map(absolute),
    '/usr/share',
  ].filter((base) => base !== undefined);
  return [...new Set([...bases.map((base) => join(base, 'qemu/firmware')), asset('firmware')])];
}

/**
 * Every usable descriptor of this host in order of preference (by base name, over all directories), and what could
 * not be used, with the reason. Never throws for what lies in the directories.
 */
export async function searchFirmware(
  search: FirmwareSearch,
): Promise<{ descriptors: readonly FirmwareDescriptor[]; problems: readonly FirmwareProblem[] }> {
  const directories = search.directories ?? firmwareDirectories(search);
  const problems: FirmwareProblem[] = [];
  const listings = directories.map((directory) => list(directory, problems));
  const files = new Map<string, string>();
  for (const path of listings.flat()) {
    const name = basename(path);
    if (!files.has(name)) files.set(name, path);
  }
  const ordered = [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
  const [first, ...others] = ordered.splice(descriptorCountLimit);
  if (first !== undefined) {
    const reason = `it and ${others.length} more come after ${descriptorCountLimit} others and were not read`;
    problems.push({ path: first, reason });
  }
  const descriptors: FirmwareDescriptor[] = [];
  for (const path of ordered) {
    try {
      const descriptor = load(path);
      if (descriptor !== null) descriptors.push(descriptor);
    } catch (error) {
      if (!(error instanceof DescriptorError)) throw error;
      problems.push({ path, reason: error.message });
    }
  }
  problems.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { descriptors, problems };
}

/** The descriptor that `--firmware=PATH` names (absolute path). Throws FirmwareError when it cannot be used. */
export async function loadFirmware(path: string): Promise<FirmwareDescriptor> {
  let descriptor: FirmwareDescriptor | null;
  try {
    descriptor = load(path);
  } catch (error) {
    if (!(error instanceof DescriptorError)) throw error;
    throw unusable(path, error.message, error);
  }
  if (descriptor === null) throw unusable(path, 'it is empty');
  return descriptor;
}

/**
 * The text that `--firmware=describe` prints: the content of the descriptor's file, unknown members included, as
 * indented JSON with a line feed at the end. Throws FirmwareError when the file can no longer be read.
 */
export async function describeFirmware(descriptor: FirmwareDescriptor): Promise<string> {
  try {
    const text = readDescriptor(descriptor.path);
    if (text === null) throw new DescriptorError('it is empty');
    return `${JSON.stringify(parseJson(text), null, 2)}\n`;
  } catch (error) {
    if (!(error instanceof DescriptorError)) throw error;
    throw unusable(descriptor.path, error.message, error);
  }
}

function list(directory: string, problems: FirmwareProblem[]): string[] {
  try {
    const names = readdirSync(directory);
    return names.filter((name) => name.endsWith('.json')).map((name) => join(directory, name));
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      problems.push({ path: directory, reason: `the directory cannot be read (${String(code)})` });
    }
    return [];
  }
}

/** null when the file masks others. */
function load(path: string): FirmwareDescriptor | null {
  const text = readDescriptor(path);
  if (text === null) return null;
  const descriptor = parseDescriptor(path, text);
  for (const file of filesOf(descriptor)) {
    try {
      accessSync(file, constants.R_OK);
    } catch (cause) {
      const code = codeOf(cause);
      const state = code === 'EACCES' ? 'may not be read by this user' : 'is not installed';
      throw new DescriptorError(`${file}, which it names, ${state}`, { cause });
    }
  }
  return descriptor;
}

function filesOf({ mapping }: FirmwareDescriptor): readonly string[] {
  if (mapping.device === 'other') return [];
  if (mapping.device === 'memory') return [mapping.filename];
  if (mapping.mode === 'split') return [mapping.executable.filename, mapping.nvramTemplate.filename];
  return [mapping.executable.filename];
}

function unusable(path: string, reason: string, cause?: unknown): FirmwareError {
  return new FirmwareError(`The firmware descriptor ${printable(path)} cannot be used: ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'See --firmware=list for those that this host has.',
  });
}
