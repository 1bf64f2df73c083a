import type { Settings } from '../../settings/settings.ts';
import { absolutePath, type Place, parsePath, refuse } from '../values.ts';
import { type Option, pathArgument, setting } from './option.ts';

const bindArgument = { placeholder: 'SRC[:DST]', words: [], files: true };

/** The first number that stands for no user: (uid_t) -1 (user_namespaces(7)). */
const idLimit = 2 ** 32 - 1;

export const directoryOptions: readonly Option[] = [
  {
    name: 'directory',
    short: 'D',
    argument: pathArgument,
    group: 'Image',
    since: '0.2',
    help: 'Boot this directory tree',
    man: [
      "A directory tree that is the guest's root file system, shared with it by virtiofsd: what the guest writes is in the tree at once. An empty value takes an earlier one back. `--image=` cannot be given at the same time.",
      'The kernel is the one of `--linux=`, or else one in the tree. There the boot loader entries below `/efi`, `/boot/efi` and `/boot` are looked at as a boot loader would (Boot Loader Specification): the one that `loader.conf` names, then unified kernel images, then `loader/entries/*.conf` with their options. A tree without entries boots its newest `/boot/vmlinuz-`_VERSION_ or `/usr/lib/modules/`_VERSION_`/vmlinuz` with the initrd of that version; a notice says which one it is. Links are followed as in the guest and never lead out of the tree.',
      'Unless the words of the kernel command line say `root=`, the guest mounts the tree by `rootfstype=virtiofs root=root rw`; its kernel or initrd must have virtiofs (Linux 5.4 or newer), and a warning tells of one that has not. To run the guest the tree is locked, so that no second machine boots from it at the same time. State of TPM and firmware is kept beside the tree as it is beside an image.',
      '    vmspawn --directory=/var/lib/machines/debian',
    ],
    key: 'Directory',
    effect: setting((settings, value, place) => {
      settings.directory = parsePath(value, place);
    }),
  },
  {
    name: 'private-users',
    argument: { placeholder: 'BASE[:COUNT]', words: [], files: false },
    group: 'Image',
    since: '0.2',
    help: "Host's user numbers that the tree's files have",
    man: [
      "Which user and group numbers of the host the files of `--directory=` have: _BASE_ is root's in the guest, the next one that of user 1, and so on, _COUNT_ of them (65536 unless given). By default _BASE_ is the owner of the directory. With `0` nothing is translated. Translating needs virtiofsd 1.13 or newer. An empty value goes back to the default.",
      'A user who is not root boots trees that belong to this user, or to a number that /etc/subuid gives to this user.',
    ],
    key: 'PrivateUsers',
    effect: setting(setPrivateUsers),
  },
  {
    name: 'bind',
    argument: bindArgument,
    repeatable: true,
    group: 'Mounts',
    since: '0.2',
    help: 'Share a directory with the guest; repeatable',
    man: [
      "A directory of the host that the guest sees and writes to, shared by virtiofsd. _DST_ is its absolute path in the guest, the same path unless given. A colon in a path is written `\\:`. Two directories cannot have the same _DST_. The guest's systemd mounts it, already in the initrd; that needs systemd 254 or newer in the guest, and a kernel with virtiofs (Linux 5.4 or newer): a warning tells of a guest that has no driver for it when it is up, or should be. A guest without it mounts the directory by its tag, `mnt0` for the first one and so on: `mount -t virtiofs mnt0 /mnt`. An empty value clears the list, `--bind-ro=` included. The lines for these mounts come after those of a credential `fstab.extra` of your own.",
      'Started by root, the guest acts with the numbers that its users have, so root in the guest can read, change and give away every file in the directory. Started by another user, the guest acts with the rights of that user, who appears as root in there.',
      '    vmspawn --image=debian.raw --bind=/srv/data:/data',
    ],
    key: 'Bind',
    effect: setting((settings, value, place) => addBind(settings, value, place, false)),
  },
  {
    name: 'bind-ro',
    argument: bindArgument,
    repeatable: true,
    group: 'Mounts',
    since: '0.2',
    help: 'Share a directory read-only; repeatable',
    man: [
      'As `--bind=`, but the guest cannot change anything in the directory, whatever it does: virtiofsd itself does not write. Where it cannot be told so (before version 1.11), it sees the directory read-only, without what is mounted below it.',
      '    vmspawn --image=debian.raw --bind-ro=/usr/share/doc',
    ],
    key: 'BindRo',
    effect: setting((settings, value, place) => addBind(settings, value, place, true)),
  },
];

function addBind(settings: Settings, value: string, place: Place, readOnly: boolean): void {
  if (value === '') {
    settings.binds = [];
    return;
  }
  const parts = splitColons(value);
  const [source = '', target, ...more] = parts ?? [''];
  if (parts === null || more.length > 0 || source === '' || target === '') {
    throw refuse(
      place,
      value,
      'is not SRC or SRC:DST',
      'A colon or a backslash in a path is written \\: or \\\\.',
    );
  }
  const absolute = absolutePath(source, place);
  const inGuest = target ?? absolute;
  if (!inGuest.startsWith('/') || inGuest.split('/').includes('..') || /[\0\n]/.test(inGuest)) {
    throw refuse(place, value, 'names no absolute path in the guest');
  }
  const normal = absolutePath(inGuest, place);
  if (normal === '/') throw refuse(place, value, "would hide the guest's root directory");
  settings.binds = [...settings.binds, { source: absolute, target: normal, readOnly }];
}

/** Fields between colons, where `\:` and `\\` stand for themselves; null for another or an unfinished escape. */
export function splitColons(value: string): string[] | null {
  const fields = [''];
  for (let at = 0; at < value.length; at++) {
    let character = value.charAt(at);
    if (character === ':') {
      fields.push('');
      continue;
    }
    if (character === '\\') {
      character = value.charAt(++at);
      if (character !== ':' && character !== '\\') return null;
    }
    fields.push(`${fields.pop()}${character}`);
  }
  return fields;
}

function setPrivateUsers(settings: Settings, value: string, place: Place): void {
  if (value === '') {
    settings.privateUsers = null;
    return;
  }
  const [, first = '', second = '65536'] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(value) ?? [];
  const [base, count] = [first === '' ? Number.NaN : Number(first), Number(second)];
  if (!(count > 0 && base + count <= idLimit)) {
    throw refuse(
      place,
      value,
      'is no range of user numbers',
      `Give BASE or BASE:COUNT, with at least one number and all of them below ${idLimit}.`,
    );
  }
  settings.privateUsers = { base, count };
}
