import { basename, dirname } from 'node:path';
import { HostError, ImageError } from '../errors.ts';
import type { HostFacts, QemuFacts } from '../host/facts.ts';
import type { ImageLayer } from '../image/facts.ts';
import type { BlockNode, Device, Properties } from '../qemu/configuration.ts';
import type { DiskType, Settings } from '../settings/settings.ts';
import { sha256 } from './digest.ts';
import type { DiskImage } from './disk-images.ts';
import type { Draft } from './draft.ts';
import type { PciLayout } from './pci.ts';

/**
 * By type: QEMU's device, and the most characters of a serial number that it passes on: VIRTIO_BLK_ID_BYTES (virtio 5.2.6),
 * the SN field of NVMe's Identify Controller, and for SCSI what fits into its vital product data beside other things.
 */
const devices: { readonly [type in DiskType]: { readonly driver: string; readonly serialLimit: number } } = {
  'virtio-blk': { driver: 'virtio-blk-pci', serialLimit: 20 },
  nvme: { driver: 'nvme', serialLimit: 20 },
  'virtio-scsi': { driver: 'scsi-hd', serialLimit: 30 },
  'scsi-cd': { driver: 'scsi-cd', serialLimit: 30 },
};

/** Targets of one virtio-scsi controller (VIRTIO_SCSI_MAX_TARGET). */
const scsiTargets = 256;
const sectorBytes = 512;
/** Where temporary files go that cannot be beside what they are for; larger than /tmp and not in memory. */
const temporaryDirectory = '/var/tmp';
/** Flushes of the guest reach the host's disk; the host's page cache is used. */
const cache: Properties = { direct: false, 'no-flush': false };

/**
 * The drives: every layer of an image a protocol node on an inherited descriptor and a format node above it, so that
 * QEMU opens no path and guesses no format; then the devices. The image is the first in the boot order.
 */
export function planDrives(
  disks: readonly DiskImage[],
  settings: Settings,
  facts: HostFacts,
  qemu: QemuFacts,
  draft: Draft,
  pci: PciLayout,
): void {
  const nodes = new DriveNodes(settings, facts, qemu, draft);
  const serials = new Set<string>();
  let scsiTarget = 0;
  for (const disk of disks) {
    const [top] = disk.image.layers;
    if (disk.image.looksLike !== null) {
      draft.warning(
        `${disk.what === 'image' ? 'Image' : 'Drive'} ${top.path} starts like a ${disk.image.looksLike} image but is used ` +
          `as ${top.format}; say ${disk.what === 'image' ? '--image-format=' : 'before its path '}${disk.image.looksLike}` +
          `${disk.what === 'image' ? '' : ':'} if that is what it is.`,
      );
    }
    const { driver, serialLimit } = devices[disk.type];
    requireDevice(driver, disk, qemu);
    const serial = diskSerial(top.path, serialLimit, serials);
    serials.add(serial);
    const scsi = driver.startsWith('scsi-');
    if (scsi && scsiTarget === 0) {
      const { port, place } = pci.behindPort();
      draft.devices.push(port, { driver: 'virtio-scsi-pci', id: 'scsi0', ...place });
    }
    if (scsiTarget === scsiTargets) {
      throw new HostError(
        `The machine has more than ${scsiTargets} SCSI drives, which one controller cannot have`,
      );
    }
    const { port, place } = scsi
      ? { port: null, place: { bus: 'scsi0.0', 'scsi-id': scsiTarget++ } }
      : pci.behindPort();
    if (port !== null) draft.devices.push(port);
    const device: Device = { driver, id: disk.id, ...place, drive: nodes.add(disk), serial };
    draft.devices.push(disk.what === 'image' ? { ...device, bootindex: 1 } : device);
  }
}

/** NVMe and SCSI are left out of some distributions' QEMU; virtio-blk is in each that can be used at all. */
function requireDevice(driver: string, disk: DiskImage, qemu: QemuFacts): void {
  for (const needed of driver.startsWith('scsi-') ? ['virtio-scsi-pci', driver] : [driver]) {
    if (driver === 'virtio-blk-pci' || qemu.devices.includes(needed)) continue;
    throw new HostError(
      `${qemu.binary} has no device ${needed}, which a drive of the type ${disk.type} needs`,
      {
        hint: 'Choose another type, for example virtio-blk.',
      },
    );
  }
}

/** Adds the block nodes of drives. */
class DriveNodes {
  readonly #settings: Settings;
  readonly #draft: Draft;
  readonly #qcow2: Properties;
  readonly #protocol: Properties;

  constructor(settings: Settings, facts: HostFacts, qemu: QemuFacts, draft: Draft) {
    this.#settings = settings;
    this.#draft = draft;
    // Keeps the host clusters of a discarded range allocated, so that an image does not fragment with every trim. Version 2
    // of the format has no way to say so, and QEMU refuses the option for it.
    this.#qcow2 = qemu.schema.includes('discard-no-unref') ? { 'discard-no-unref': true } : {};
    this.#protocol = { aio: facts.ioUring && qemu.schema.includes('io_uring') ? 'io_uring' : 'threads' };
  }

  /** Adds the nodes of a drive from the bottom up; returns the name of the top one. */
  add({ id, image, writes }: DiskImage): string {
    const layers: readonly (ImageLayer | 'overlay')[] =
      writes === 'overlay' ? ['overlay', ...image.layers] : image.layers;
    let below: string | null = null;
    for (const [index, layer] of [...layers.entries()].reverse()) {
      const name = index === 0 ? id : `${id}-backing${index}`;
      const readOnly = index > 0 || writes === 'none';
      const [driver, file] =
        layer === 'overlay'
          ? ['qcow2', this.#overlayFile(`${name}-file`, id, image.layers[0])]
          : [layer.format, this.#imageFile(`${name}-file`, layer, readOnly)];
      this.#push(file, readOnly);
      this.#push(
        {
          'node-name': name,
          driver,
          file: `${name}-file`,
          // Without a name here QEMU would follow the header of the image to a path of the image's choice.
          ...(driver === 'qcow2' || driver === 'vmdk' ? { backing: below } : {}),
          ...(driver === 'qcow2' && !readOnly && !(layer !== 'overlay' && layer.oldQcow2) ? this.#qcow2 : {}),
        },
        readOnly,
      );
      below = name;
    }
    return id;
  }

  #push(node: BlockNode, readOnly: boolean): void {
    this.#draft.blockNodes.push({
      ...node,
      'read-only': readOnly,
      cache,
      ...(readOnly ? {} : { discard: this.#settings.discardDisk ? 'unmap' : 'ignore' }),
    });
  }

  #imageFile(name: string, layer: ImageLayer, readOnly: boolean): BlockNode {
    const { path, identity, type, dataFile } = layer;
    if (dataFile !== null) {
      throw new ImageError(`Image ${path} keeps its data in another file (${dataFile})`, {
        hint: `Make an image of one file: qemu-img convert -O qcow2 ${path} NEW.qcow2`,
      });
    }
    const access = readOnly ? 'read' : 'read-write';
    return {
      'node-name': name,
      driver: type === 'block' ? 'host_device' : 'file',
      filename: this.#draft.fdSet({ kind: 'file', path, access, identity }, name),
      ...this.#protocol,
    };
  }

  #overlayFile(name: string, id: string, { path, type, virtualSize }: ImageLayer): BlockNode {
    const size = id === 'disk0' ? Math.max(virtualSize, this.#settings.growImage ?? 0) : virtualSize;
    const directories = type === 'block' ? [] : [dirname(path)];
    return {
      'node-name': name,
      driver: 'file',
      filename: this.#draft.fdSet(
        {
          kind: 'overlay',
          size: Math.ceil(size / sectorBytes) * sectorBytes,
          directories: [...new Set([...directories, temporaryDirectory])],
          what: path,
        },
        name,
      ),
      ...this.#protocol,
    };
  }
}

/**
 * The file name, as far as it fits and is plain ASCII; else the first digits of its SHA-256, so that it is stable. For
 * a name that is `taken` by an earlier drive, those of the whole path.
 */
export function diskSerial(path: string, limit: number, taken: ReadonlySet<string> = new Set()): string {
  const name = basename(path);
  const serial = name.length <= limit && /^[\x21-\x7e]+$/.test(name) ? name : sha256(name).slice(0, limit);
  return taken.has(serial) ? sha256(path).slice(0, limit) : serial;
}
