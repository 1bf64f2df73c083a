import { basename } from 'node:path';
import { ImageError } from '../errors.ts';
import type { QemuFacts } from '../host/facts.ts';
import type { ImageFacts, ImageLayer } from '../image/facts.ts';
import { sha256 } from './digest.ts';
import type { Draft } from './draft.ts';
import type { PciLayout } from './pci.ts';

/** VIRTIO_BLK_ID_BYTES of the virtio specification (5.2.6). */
const serialLimit = 20;

/**
 * The root disk: every layer of the image a protocol node on an inherited descriptor and a format node above it, so
 * that QEMU opens no path and guesses no format; then a virtio-blk device, first in the boot order.
 */
export function planRootDisk(image: ImageFacts, qemu: QemuFacts, draft: Draft, pci: PciLayout): void {
  const [top] = image.layers;
  if (!top.writable) {
    throw new ImageError(`Image ${top.path} is not writable`, {
      hint: 'Change its permissions, or make a copy that you may write.',
    });
  }
  if (image.looksLike !== null) {
    draft.warning(
      `Image ${top.path} starts like a ${image.looksLike} image but is used as ${top.format}; ` +
        `say --image-format=${image.looksLike} if that is what it is.`,
    );
  }
  const node = addLayers(image.layers, qemu, draft);
  const { port, place } = pci.behindPort();
  draft.devices.push(port, {
    driver: 'virtio-blk-pci',
    id: 'disk0',
    ...place,
    drive: node,
    serial: diskSerial(top.path),
    bootindex: 1,
  });
}

/** Adds the nodes of a chain from the bottom up; returns the name of the top one. */
function addLayers(layers: readonly ImageLayer[], qemu: QemuFacts, draft: Draft): string {
  let below: string | null = null;
  for (const [index, layer] of [...layers.entries()].reverse()) {
    const name = index === 0 ? 'disk0' : `disk0-backing${index}`;
    const readOnly = index > 0;
    addNode(`${name}-file`, layer, readOnly, draft);
    draft.blockNodes.push({
      'node-name': name,
      driver: layer.format,
      file: `${name}-file`,
      'read-only': readOnly,
      ...(readOnly ? {} : { discard: 'unmap' }),
      // Without a name here QEMU would follow the header of the image to a path of the image's choice.
      ...(layer.format === 'qcow2' ? { backing: below } : {}),
      // Keeps the host clusters of a discarded range allocated, so that an image does not fragment with every trim.
      ...(layer.format === 'qcow2' && !readOnly && qemu.schema.includes('discard-no-unref')
        ? { 'discard-no-unref': true }
        : {}),
    });
    below = name;
  }
  return 'disk0';
}

function addNode(name: string, layer: ImageLayer, readOnly: boolean, draft: Draft): void {
  if (layer.dataFile !== null) {
    throw new ImageError(`Image ${layer.path} keeps its data in another file (${layer.dataFile})`, {
      hint: `Make an image of one file: qemu-img convert -O qcow2 ${layer.path} NEW.qcow2`,
    });
  }
  draft.blockNodes.push({
    'node-name': name,
    driver: layer.type === 'block' ? 'host_device' : 'file',
    filename: draft.fdSet(
      {
        kind: 'file',
        path: layer.path,
        access: readOnly ? 'read' : 'read-write',
        identity: layer.identity,
      },
      name,
    ),
    'read-only': readOnly,
    ...(readOnly ? {} : { discard: 'unmap' }),
  });
}

/** The file name, as far as it fits and is plain ASCII; else the first digits of its SHA-256, so that it is stable. */
export function diskSerial(path: string): string {
  const name = basename(path);
  if (name.length <= serialLimit && /^[\x21-\x7e]+$/.test(name)) return name;
  return sha256(name).slice(0, serialLimit);
}
