import { imageFormats } from '../../settings/defaults.ts';
import { parsePath, parseWord } from '../values.ts';
import { type Option, pathArgument, setting } from './option.ts';

export const imageOptions: readonly Option[] = [
  {
    name: 'image',
    short: 'i',
    argument: pathArgument,
    group: 'Image',
    since: '0.1',
    help: 'Boot this disk image or block device',
    man: [
      'The disk that the machine boots from: a regular file or a block device. The guest sees it as a virtio-blk disk and writes to it. A relative path starts from the working directory; an empty value takes an earlier one back.',
      'There is no default: without an image `--linux=` names what to boot. While a machine runs, its image is locked, so that a second machine cannot write to it at the same time.',
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
    help: 'Format of the image: raw or qcow2',
    man: [
      'The format of `--image=`: `raw` or `qcow2`. By default a file whose name ends in `.qcow2` is a qcow2 image, and everything else is raw. The content is never asked: a guest that can write to a raw image could otherwise turn it into a qcow2 one that names any file of the host. A block device is always raw.',
    ],
    key: 'ImageFormat',
    effect: setting((settings, value, place) => {
      settings.imageFormat = parseWord(value, imageFormats, place);
    }),
  },
];
