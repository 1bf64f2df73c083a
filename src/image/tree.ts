import { accessSync, constants, realpathSync, statfsSync, statSync } from 'node:fs';
import { ImageError, printable } from '../errors.ts';
import { holdersOf } from '../host/state-place.ts';
import { throwAwayPlace } from '../host/throw-away-place.ts';
import { matchesGlob } from '../settings/glob.ts';
import { btrfsMagic, subvolumeInode } from '../sys/btrfs.ts';
import { codeOf } from '../sys/error-code.ts';
import {
  type BootEntry,
  compareEntries,
  parseDefault,
  parseEntry,
  unifiedEntry,
} from './boot-loader-entries.ts';
import type { DirectoryFacts, TreeFacts, TreeKernel } from './facts.ts';
import { fileInTree, namesInTree, textInTree } from './inside-tree.ts';
import { compareVersions } from './version-order.ts';

/** Where an installed system has its boot partitions mounted, in systemd's order. */
const partitions = ['/efi', '/boot/efi', '/boot'];

/** Bytes of a kernel's configuration, which has some 300 KB, and of a list of its modules. */
const configurationLimit = 4 * 1024 ** 2;

/** A directory that is to be shared (absolute path); `option` begins the messages. Throws ImageError. */
export function inspectDirectory(path: string, option: string): DirectoryFacts {
  try {
    const real = realpathSync.native(path);
    const status = statSync(real, { bigint: true });
    if (!status.isDirectory()) throw new ImageError(`${option}${printable(path)} is no directory`);
    return { path: real, identity: `${status.dev}:${status.ino}`, uid: Number(status.uid) };
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    const code = codeOf(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new ImageError(`${option}${printable(path)} does not exist`);
    }
    if (code === 'EACCES') throw closed(path, option);
    throw new ImageError(`${option}${printable(path)} cannot be looked at`, { cause });
  }
}

/** The same with whether this user may enter it; a tree may belong to numbers that only its daemon can be. Throws as that. */
export function inspectBind(path: string, option: string): DirectoryFacts {
  const found = inspectDirectory(path, option);
  try {
    accessSync(found.path, constants.X_OK);
    return found;
  } catch {
    return { ...found, closed: true };
  }
}

function closed(path: string, option: string): ImageError {
  return new ImageError(`${option}${printable(path)} may not be entered by this user`, {
    hint: 'Change its permissions or those of the directories above it.',
  });
}

/**
 * The tree of --directory= (absolute path), with what it boots unless the user names a kernel, and the place for a copy if
 * it is to be `copied`. Throws ImageError for one that has no kernel.
 */
export function inspectTree(
  path: string,
  { architecture, findKernel, copied }: { architecture: string; findKernel: boolean; copied: boolean },
): TreeFacts {
  const found = inspectDirectory(path, '--directory=');
  const directory = {
    ...found,
    copyPlace: copied ? throwAwayPlace(found.path, holdersOf(found.path)) : null,
    systemd: systemdOf(found.path, architecture),
    subvolume: isSubvolume(found),
  };
  if (!findKernel) return { ...directory, boot: null };
  const boot = bootEntry(directory.path, architecture) ?? installedKernel(directory.path);
  if (boot === null) {
    throw new ImageError(`--directory=${printable(path)} has no kernel`, {
      hint: 'Install one in the tree (Debian package linux-image-amd64), or name one with --linux= and --initrd=.',
    });
  }
  return { ...directory, boot };
}

/** By the library that all of its programs share, which has the version in its name; the newest that lies there. */
function systemdOf(tree: string, architecture: string): number | null {
  const versions = ['/usr/lib/systemd', `/usr/lib/${architecture}-linux-gnu/systemd`, '/lib/systemd']
    .flatMap((directory) => namesInTree(tree, directory))
    .map((name) => /^libsystemd-shared-(\d+)\b.*\.so$/.exec(name)?.[1])
    .filter((version) => version !== undefined);
  return versions.length === 0 ? null : Math.max(...versions.map(Number));
}

function isSubvolume({ path, identity }: DirectoryFacts): boolean {
  return identity.endsWith(`:${subvolumeInode}`) && statfsSync(path).type === btrfsMagic;
}

/**
 * The entry that a boot loader would take (UAPI.1): what loader.conf says, else the first unified kernel image, else the
 * first `.conf` file whose kernel and initrds are there.
 */
function bootEntry(tree: string, architecture: string): TreeKernel | null {
  const found: { entry: BootEntry; boot: TreeKernel; preferred: boolean }[] = [];
  // One for all partitions: that of the first which has one, as a boot loader has only that of its own.
  const [pattern = null] = partitions
    .map((partition) => parseDefault(textInTree(tree, `${partition}/loader/loader.conf`) ?? ''))
    .filter((one) => one !== null);
  for (const partition of partitions) {
    for (const entry of entriesOf(tree, partition, architecture)) {
      const kernel = fileInTree(tree, `${partition}/${entry.kernel}`);
      const initrds = entry.initrds.map((initrd) => fileInTree(tree, `${partition}/${initrd}`));
      if (kernel === null || !initrds.every((initrd) => initrd !== null)) continue;
      if (found.some(({ boot }) => boot.kernel === kernel && boot.source.endsWith(entry.file))) continue;
      const directory = entry.type === 2 ? 'EFI/Linux' : 'loader/entries';
      found.push({
        entry,
        boot: {
          kernel,
          initrds,
          options: entry.options,
          source: `${partition}/${directory}/${entry.file}`,
          virtiofs: entry.version === null ? null : virtiofsOf(tree, entry.version),
        },
        preferred: pattern !== null && isNamed(entry, pattern),
      });
    }
  }
  found.sort(
    (a, b) =>
      Number(b.preferred) - Number(a.preferred) ||
      b.entry.type - a.entry.type ||
      compareEntries(a.entry, b.entry),
  );
  return found[0]?.boot ?? null;
}

function entriesOf(tree: string, partition: string, architecture: string): BootEntry[] {
  const unified = namesInTree(tree, `${partition}/EFI/Linux`)
    .filter((name) => /\.efi$/i.test(name))
    .map(unifiedEntry);
  const written = namesInTree(tree, `${partition}/loader/entries`)
    .filter((name) => /\.conf$/i.test(name))
    .map((name) =>
      parseEntry(name, textInTree(tree, `${partition}/loader/entries/${name}`) ?? '', architecture),
    );
  return [...unified, ...written.filter((entry) => entry !== null)];
}

/** loader.conf(5) names the whole file name, older ones leave the suffix out. */
function isNamed({ id, file }: BootEntry, pattern: string): boolean {
  const names = [file, id, `${id}${file.slice(file.lastIndexOf('.'))}`];
  return names.some((name) => matchesGlob(pattern.toLowerCase(), name.toLowerCase()));
}

/** Without a boot loader, as in a tree that mmdebstrap(1) made: the newest kernel, with the initrd of its version. */
function installedKernel(tree: string): TreeKernel | null {
  const versions = [
    ...namesInTree(tree, '/boot').flatMap((name) => {
      const version = /^vmlinu[xz]-(.+)$/.exec(name)?.[1];
      return version === undefined ? [] : [{ version, path: `/boot/${name}` }];
    }),
    ...namesInTree(tree, '/usr/lib/modules').map((version) => ({
      version,
      path: `/usr/lib/modules/${version}/vmlinuz`,
    })),
  ].sort((a, b) => compareVersions(b.version, a.version));
  for (const { version, path } of versions) {
    const kernel = fileInTree(tree, path);
    if (kernel === null) continue;
    const initrds = [
      `/boot/initrd.img-${version}`,
      `/boot/initramfs-${version}.img`,
      `/boot/initrd-${version}`,
      `/usr/lib/modules/${version}/initrd`,
    ]
      .map((initrd) => fileInTree(tree, initrd))
      .filter((initrd) => initrd !== null)
      .slice(0, 1);
    return { kernel, initrds, options: [], source: path, virtiofs: virtiofsOf(tree, version) };
  }
  return null;
}

/**
 * Debian and Fedora install a kernel's configuration beside it. Others have the lists of modules only, which not every
 * module has to be in: some come in packages of their own.
 */
function virtiofsOf(tree: string, version: string): TreeKernel['virtiofs'] {
  const modules = `/usr/lib/modules/${version}`;
  const text =
    textInTree(tree, `/boot/config-${version}`, configurationLimit) ??
    textInTree(tree, `${modules}/config`, configurationLimit);
  if (text !== null) {
    const said = /^CONFIG_VIRTIO_FS=([ym])$/m.exec(text)?.[1];
    return said === 'y' ? 'yes' : said === 'm' ? 'module' : 'no';
  }
  const listed = (list: string) =>
    /(?:^|\/)virtiofs\.ko(?:\.\w+)?(?::|$)/m.test(
      textInTree(tree, `${modules}/${list}`, configurationLimit) ?? '',
    );
  if (listed('modules.builtin')) return 'yes';
  return listed('modules.dep') ? 'module' : null;
}
