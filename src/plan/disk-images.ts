import { ImageError, UsageError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { ImageFacts } from '../image/facts.ts';
import type { DiskType, Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { Plan } from './plan.ts';

/** A disk image or block device, with what is to become of it. */
export interface DiskImage {
  /** `disk0` is the image, `disk1` the first extra drive, whether there is an image or not. */
  readonly id: string;
  readonly image: ImageFacts;
  readonly type: DiskType;
  /** `image` or `drive`, for messages. */
  readonly what: string;
  /** Whose file or device is written to. `overlay`: only a temporary file is; `none`: the guest cannot write. */
  readonly writes: 'itself' | 'overlay' | 'none';
}

/**
 * All drives, the image first. Throws ImageError for a file that would have to be written and cannot be, and for one
 * that is there twice.
 */
export function diskImages(settings: Settings, facts: HostFacts): readonly DiskImage[] {
  const { imageDiskType } = settings;
  const disks: DiskImage[] = [];
  const add = (image: ImageFacts, id: string, type: DiskType, what: string) => {
    const writes = type === 'scsi-cd' ? 'none' : settings.ephemeral ? 'overlay' : 'itself';
    disks.push({ id, image, type, what, writes });
  };
  if (facts.image !== null) add(facts.image, 'disk0', imageDiskType, 'image');
  for (const [index, image] of facts.extraDrives.entries()) {
    add(image, `disk${index + 1}`, settings.extraDrives[index]?.type ?? imageDiskType, 'drive');
  }
  for (const disk of disks) checkWritable(disk);
  checkShared(disks);
  return disks;
}

function checkWritable({ image, writes, what }: DiskImage): void {
  const [top] = image.layers;
  if (writes !== 'itself' || top.writable) return;
  throw new ImageError(`${what === 'image' ? 'Image' : 'Drive'} ${top.path} is not writable`, {
    hint:
      what === 'image'
        ? 'Change its permissions, make a copy that you may write, or use --ephemeral.'
        : 'Change its permissions, or let the guest only read it: scsi-cd: before the path, or --ephemeral.',
  });
}

/** No file may be two drives, nor be written to while another drive reads it as its backing file. */
function checkShared(disks: readonly DiskImage[]): void {
  const users = new Map<string, { readonly path: string; readonly alone: boolean; readonly top: boolean }>();
  for (const { image, writes } of disks) {
    for (const [index, { identity, path }] of image.layers.entries()) {
      const user = { path, top: index === 0, alone: index === 0 && writes === 'itself' };
      const other = users.get(identity);
      if (other !== undefined && ((other.top && user.top) || other.alone || user.alone)) {
        const also = other.path === path ? '' : ` (it is also ${other.path})`;
        throw new ImageError(`${path} is given to the machine twice${also}`, {
          hint: 'Leave one of them out, or make a copy.',
        });
      }
      if (other === undefined || user.top) users.set(identity, user);
    }
  }
}

/**
 * How far --grow-image= enlarges the image's own file; null where it does not. Throws UsageError where the image has no
 * size that could be changed.
 */
export function planGrowth(settings: Settings, facts: HostFacts, draft: Draft): Plan['growth'] {
  const size = settings.growImage;
  if (size === null) return null;
  const refuse = (reason: string, hint: string) => new UsageError(`--grow-image=${size} ${reason}`, { hint });
  if (facts.image === null) {
    throw refuse(
      'needs an image',
      facts.tree === null ? 'Name it with --image=PATH.' : 'A directory has the size of its file system.',
    );
  }
  const [{ path, format, type, identity, virtualSize }] = facts.image.layers;
  if (settings.imageDiskType === 'scsi-cd') {
    throw refuse('cannot be used with a CD-ROM drive', 'Choose another --image-disk-type=.');
  }
  if (settings.ephemeral) return null;
  if (type === 'block') throw refuse(`cannot enlarge the block device ${path}`, 'Use --ephemeral with it.');
  if (format !== 'raw') {
    throw refuse(
      `cannot enlarge ${path}, which is no raw image but ${format}`,
      'Use "qemu-img resize", or --ephemeral with it.',
    );
  }
  if (virtualSize >= size) return null;
  draft.notice(`Image ${path} is enlarged from ${virtualSize} to ${size} bytes.`);
  return { path, identity, size };
}
