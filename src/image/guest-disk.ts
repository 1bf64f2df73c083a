import { ImageError, printable } from '../errors.ts';
import type { ImageFacts } from './facts.ts';
import { type OpenedFile, openFile } from './open.ts';
import { Qcow2Error, qcow2HeaderBytes } from './qcow2.ts';
import { type ReadAt, readCluster } from './qcow2-clusters.ts';

/** A disk as its guest sees it, for reading. */
export interface GuestDisk extends Disposable {
  /** Bytes. */
  readonly size: number;
  /** All `length` bytes from `offset` on, or those up to the end. Throws ImageError. */
  readonly read: ReadAt;
}

/** Opens an image that was inspected, through all of its layers. Throws ImageError. */
export function openGuestDisk({ layers }: ImageFacts): GuestDisk {
  const files: OpenedFile[] = [];
  try {
    for (const { path } of layers) files.push(openFile(path, 'The image', { block: true }));
  } catch (error) {
    for (const file of files) file[Symbol.dispose]();
    throw error;
  }
  const headers = files.map((file, index) =>
    layers[index]?.format === 'qcow2' ? file.read(0, qcow2HeaderBytes) : null,
  );
  const readFile = (file: OpenedFile, offset: number, length: number): Buffer =>
    // A damaged table may name any offset, also one that no call takes.
    offset >= file.size ? Buffer.alloc(0) : file.read(offset, length);
  const readLayer = (index: number, offset: number, length: number): Buffer => {
    const [layer, file, header] = [layers[index], files[index], headers[index] ?? null];
    if (layer === undefined || file === undefined) return Buffer.alloc(length);
    const parts: Buffer[] = [];
    const end = Math.min(offset + length, layer.virtualSize);
    for (let at = offset; at < end; ) {
      const piece =
        header === null
          ? ({ kind: 'data', bytes: file.read(at, end - at) } as const)
          : readCluster((from, count) => readFile(file, from, count), header, at, end - at);
      const bytes =
        piece.kind === 'data'
          ? piece.bytes
          : piece.kind === 'zero'
            ? Buffer.alloc(piece.length)
            : readLayer(index + 1, at, piece.length);
      if (bytes.length === 0) break;
      parts.push(bytes);
      at += bytes.length;
    }
    const read = Buffer.concat(parts);
    // A layer below may be shorter than the one above; behind its end there are zeroes.
    return index === 0 ? read : Buffer.concat([read, Buffer.alloc(length - read.length)]);
  };
  return {
    size: layers[0].virtualSize,
    read(offset, length) {
      try {
        return readLayer(0, offset, length);
      } catch (error) {
        if (!(error instanceof Qcow2Error)) throw error;
        throw new ImageError(`The image ${printable(layers[0].path)} ${error.message}`);
      }
    },
    [Symbol.dispose]() {
      for (const file of files) file[Symbol.dispose]();
    },
  };
}
