import { accessSync, constants } from 'node:fs';
import { ImageError, printable } from '../errors.ts';
import { imageFormats } from '../settings/defaults.ts';
import type { ImageFormat } from '../settings/settings.ts';
import type { ImageFacts, ImageLayer } from './facts.ts';
import { HeaderError } from './header-error.ts';
import { magicBytes, recognizeRaw } from './magic.ts';
import { type OpenedFile, openFile, subjectOf } from './open.ts';
import { parseQcow2, type Qcow2Header, qcow2HeaderBytes } from './qcow2.ts';
import { resolveReference, shellWord } from './reference.ts';
import { readVdi } from './vdi.ts';
import { readVhdx } from './vhdx.ts';
import { readVmdk } from './vmdk.ts';

/** Files of a backing chain. QEMU has no limit of its own but gets slow long before this. */
export const layerLimit = 32;

const directoryHint = 'Boot a directory with --directory=.';

/**
 * Reads what a disk image (absolute path) is: its file, and for qcow2 every file below it, each header parsed here and
 * each format taken from what is said, never from a guess. `explicit` means that the user said raw, so that a raw
 * image whose first bytes look like another format is taken by the word. `what` begins the sentences about it. Throws
 * ImageError.
 */
export async function inspectImage(
  path: string,
  format: ImageFormat,
  { explicit = false, what = 'The image' }: { explicit?: boolean; what?: string } = {},
): Promise<ImageFacts> {
  const top = inspectLayer(path, format, what, explicit);
  const layers: [ImageLayer, ...ImageLayer[]] = [top.layer];
  let { header } = top;
  let above = top.layer.path;
  while (header?.backing) {
    if (layers.length === layerLimit) {
      throw new ImageError(`The image ${printable(path)} has more than ${layerLimit - 1} backing files`, {
        hint: 'Join some of them with "qemu-img commit" or "qemu-img convert".',
      });
    }
    const { name } = header.backing;
    const backingFormat = checkBackingFormat(above, header.backing);
    const below = resolveReference(above, name, 'backing file');
    const next = inspectLayer(below, backingFormat, `The backing file of ${printable(above)},`, true);
    if (layers.some(({ identity }) => identity === next.layer.identity)) {
      throw new ImageError(`The backing files of ${printable(path)} form a loop at ${printable(below)}`);
    }
    layers.push(next.layer);
    above = below;
    header = next.header;
  }
  return { layers, looksLike: top.looksLike };
}

interface InspectedLayer {
  readonly layer: ImageLayer;
  readonly header: Qcow2Header | null;
  readonly looksLike: ImageFormat | null;
}

function inspectLayer(path: string, format: ImageFormat, what: string, explicit: boolean): InspectedLayer {
  const file = openFile(path, what, { block: true, directoryHint });
  try {
    const header = format === 'qcow2' ? readHeader(path, what, () => readQcow2(file)) : null;
    const foreignSize = isForeign(format) ? readHeader(path, what, () => foreignReaders[format](file)) : null;
    const looksLike = format === 'raw' ? checkRaw(file, path, what, explicit) : null;
    const dataFile =
      header === null || header.dataFile === null ? null : checkDataFile(path, header.dataFile);
    const layer: ImageLayer = {
      path,
      format,
      type: file.type,
      identity: file.identity,
      size: file.size,
      virtualSize: header?.virtualSize ?? foreignSize ?? file.size,
      writable: isWritable(path),
      dataFile,
      oldQcow2: header?.version === 2,
    };
    return { layer, header, looksLike };
  } finally {
    file[Symbol.dispose]();
  }
}

/** Formats of one file that QEMU reads; each reader gives the bytes of the disk. */
const foreignReaders = { vmdk: readVmdk, vdi: readVdi, vhdx: readVhdx };

function isForeign(format: ImageFormat): format is keyof typeof foreignReaders {
  return Object.hasOwn(foreignReaders, format);
}

function readQcow2(file: OpenedFile): Qcow2Header {
  return parseQcow2(file.read(0, qcow2HeaderBytes), file.size);
}

/** `read`, whose HeaderError becomes a sentence about the file. */
function readHeader<Result>(path: string, what: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HeaderError)) throw error;
    throw new ImageError(
      `${subjectOf(what, path)} ${error.message}`,
      error.hint === undefined ? {} : { hint: error.hint },
    );
  }
}

function checkRaw(file: OpenedFile, path: string, what: string, explicit: boolean): ImageFormat | null {
  const content = recognizeRaw(file.read(0, magicBytes));
  const subject = subjectOf(what, path);
  if (content.kind === 'image') return content.format;
  if (content.kind === 'disk' || explicit) return null;
  if (content.kind === 'compressed') {
    throw new ImageError(`${subject} is compressed with ${content.name}`, {
      hint: `Unpack it first: ${content.program} ${shellWord(path)}. (--image-format=raw takes it as it is.)`,
    });
  }
  const supported = imageFormats.find((format) => format === content.qemuName);
  if (supported !== undefined) {
    throw new ImageError(`${subject} is in the format ${content.name} and not raw`, {
      hint: `Say so: --image-format=${supported}, or ${supported}: before the path of an extra drive. (raw takes it as it is.)`,
    });
  }
  throw new ImageError(`${subject} is in the format ${content.name}, which is not supported`, {
    hint: `Convert it first: qemu-img convert -f ${content.qemuName} -O qcow2 ${shellWord(path)} NEW.qcow2. (--image-format=raw takes it as it is.)`,
  });
}

/**
 * QEMU would find the format out from the content when the header does not say it. The guest writes the content: a
 * raw disk that begins like a qcow2 image could then name any file of the host.
 */
function checkBackingFormat(
  image: string,
  { name, format }: NonNullable<Qcow2Header['backing']>,
): ImageFormat {
  if (format === 'raw' || format === 'qcow2') return format;
  const file = shellWord(image);
  if (format === null) {
    throw new ImageError(
      `The image ${printable(image)} does not say the format of its backing file ${printable(name)}`,
      {
        hint: `Write it into the image: qemu-img rebase -u -b ${shellWord(name)} -F FORMAT ${file} (FORMAT is raw or qcow2).`,
      },
    );
  }
  throw new ImageError(
    `The image ${printable(image)} has a backing file of the format ${printable(format.slice(0, 40))}, which is neither raw nor qcow2`,
    { hint: `Join the two into a new image: qemu-img convert -O qcow2 ${file} NEW.qcow2.` },
  );
}

function checkDataFile(image: string, name: string): string {
  const path = resolveReference(image, name, 'data file');
  const file = openFile(path, `The data file of ${printable(image)},`, { block: true });
  file[Symbol.dispose]();
  return path;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
