import { diskTypes, imageFormats } from '../../settings/defaults.ts';
import { parseExtraDrive, parseImageSize } from '../drives.ts';
import { parseBoolean, parsePath, parseWord } from '../values.ts';
import { booleanArgument, type Option, pathArgument, setting } from './option.ts';

export const imageOptions: readonly Option[] = [
  {
    name: 'image',
    short: 'i',
    argument: pathArgument,
    group: 'Image',
    since: '0.1',
    help: 'Boot this disk image or block device',
    man: [
      'The disk that the machine boots from: a regular file or a block device. The guest sees it as a virtio-blk disk unless `--image-disk-type=` says otherwise, and writes to it. A relative path starts from the working directory; an empty value takes an earlier one back.',
      'There is no default: without an image `--directory=`, `--linux=` or `--machine=` names what to boot. While a machine runs, its image is locked, so that a second machine cannot write to it at the same time.',
      '    vmspawn --image=debian.raw',
    ],
    key: 'Image',
    effect: setting((settings, value, place) => {
      settings.image = parsePath(value, place);
    }),
  },
  {
    name: 'image-format',
    argument: { placeholder: 'FORMAT', words: imageFormats, files: false },
    group: 'Image',
    since: '0.1',
    help: 'Format of the image, such as raw or qcow2',
    man: [
      'The format of `--image=`: `raw`, `qcow2`, `vmdk`, `vdi` or `vhdx`. By default a file whose name ends in one of these words after a dot is of that format, and everything else is raw. The content is never asked: a guest that can write to a raw image could otherwise turn it into a qcow2 one that names any file of the host. A block device is always raw.',
      'Backing files of a qcow2 image must lie in its own directory and are opened for reading only. An image of the other formats must be one file: a VMDK that consists of several, or that has a parent, is refused. Without an image there is no format to give.',
    ],
    key: 'ImageFormat',
    effect: setting((settings, value, place) => {
      settings.imageFormat = parseWord(value, imageFormats, place);
    }),
  },
  {
    name: 'image-disk-type',
    argument: { placeholder: 'TYPE', words: diskTypes, files: false },
    group: 'Image',
    since: '0.1',
    help: 'Device that the guest sees the image as',
    man: [
      'As what the guest sees the image, and every extra drive that does not say it: `virtio-blk`, the default, `virtio-scsi` (disks behind one SCSI controller), `nvme`, or `scsi-cd`, a CD-ROM drive, which only reads: its file is opened for reading, so that several machines may use it at once.',
    ],
    key: 'ImageDiskType',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.imageDiskType = parseWord(value, diskTypes, place);
    }),
  },
  {
    name: 'discard-disk',
    argument: booleanArgument,
    group: 'Image',
    since: '0.1',
    help: 'Give back to the host what the guest discards',
    man: [
      'Whether ranges that the guest discards (with fstrim(8), or a file system that is mounted with `discard`) are given back to the host: the files of the drives become smaller then. Default: `yes`.',
    ],
    key: 'DiscardDisk',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.discardDisk = parseBoolean(value, place);
    }),
  },
  {
    name: 'grow-image',
    short: 'G',
    argument: { placeholder: 'BYTES', words: ['10G', '20G', '50G'], files: false },
    group: 'Image',
    since: '0.1',
    help: 'Make the image at least this large',
    man: [
      'The least size of the image, rounded up to 4096 bytes: a raw image file that is smaller is enlarged before the machine starts, and stays so; one that is larger is left alone. The suffixes K, M, G, T, P and E are powers of 1024. Partitions and file systems are for the guest to grow, which systemd-repart(8) and systemd-growfs(8) do in many images. With `--ephemeral` only the throw-away copy is enlarged, for every format and for block devices; otherwise those are refused. An empty value or `0` takes an earlier one back.',
      '    vmspawn --image=debian.raw --grow-image=20G',
    ],
    key: 'GrowImage',
    effect: setting((settings, value, place) => {
      settings.growImage = parseImageSize(value, place);
    }),
  },
  {
    name: 'ephemeral',
    short: 'x',
    argument: null,
    group: 'Image',
    since: '0.1',
    help: 'Throw away what the guest writes',
    man: [
      'Whatever the guest writes to the image and to the extra drives is thrown away when the machine ends: it goes to temporary files without a name in the directory of the image, or in /var/tmp where that one cannot be written to or lies in memory. The files themselves are opened for reading only, so that any number of machines can run from one image at once as long as none of them writes to it. A `scsi-cd` needs no such copy, as nobody can write to it. The state of the TPM and the UEFI variables are temporary too, unless `--tpm-state=` or `--efi-nvram-state=` names a path. Without `--machine=` a random suffix is added to the name of the machine.',
      'With `--directory=` the machine runs from a copy of the tree, made before it starts and removed when it ends: a snapshot where the tree is a btrfs subvolume, else a copy of every file, which shares its blocks with the original where the file system can do that (btrfs, XFS). The copy lies in a directory `.#vmspawn-tree-`_ID_ beside the tree, or in /var/tmp where that one cannot be written to or lies in memory. What is mounted in the tree, and what is another subvolume there, is an empty directory in the copy. A user who is not root needs a tree that belongs to this user. Directories of `--bind=` are written to as ever.',
      '    vmspawn --image=debian.raw --ephemeral',
    ],
    key: 'Ephemeral',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.ephemeral = parseBoolean(value, place);
    }),
  },
  {
    name: 'extra-drive',
    argument: { placeholder: '[FORMAT:][TYPE:]PATH', words: [], files: true },
    repeatable: true,
    group: 'Image',
    since: '0.1',
    help: 'Attach another drive; repeatable',
    man: [
      'Another disk image or block device for the guest to read and write. FORMAT is one of those of `--image-format=`, and by default found by the name of the file as for the image; TYPE is one of those of `--image-disk-type=`, which is also its default. They may stand in any order; a path that begins like one of them is written with `./` before it. May be given more than once: the drives get the identifiers `disk1`, `disk2` and so on in the order given, and the name of its file as serial number, by which the guest finds it below /dev/disk/by-id. An empty value clears the list.',
      'Each drive is locked like the image. A file that may not be written to is refused unless it is a `scsi-cd` or `--ephemeral` is given.',
      '    vmspawn --image=debian.raw --extra-drive=data.raw --extra-drive=scsi-cd:seed.iso',
    ],
    key: 'ExtraDrive',
    effect: setting((settings, value, place) => {
      settings.extraDrives = value === '' ? [] : [...settings.extraDrives, parseExtraDrive(value, place)];
    }),
  },
];
