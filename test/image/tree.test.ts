import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileInTree, resolveInTree } from '../../src/image/inside-tree.ts';
import { inspectDirectory, inspectTree } from '../../src/image/tree.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();

function treeOf(files: Record<string, string>): string {
  const tree = mkdtempSync(join(directory, 'tree-'));
  for (const [path, content] of Object.entries(files)) write(join(tree, path), content);
  return tree;
}

/** What a tree boots, its paths without the tree. */
function boots(tree: string): unknown {
  const { boot, path } = inspectTree(tree, { architecture: 'x86_64', findKernel: true, copied: false });
  assert.ok(boot);
  const short = (file: string) => file.slice(path.length);
  return [boot.source, short(boot.kernel), boot.initrds.map(short), boot.options];
}

const debian = {
  'boot/vmlinuz-6.9.1': 'k',
  'boot/initrd.img-6.9.1': 'i',
  'boot/vmlinuz-6.10.1': 'k',
  'boot/initrd.img-6.10.1': 'i',
  'usr/lib/modules/6.8/vmlinuz': 'k',
};
const entry = { 'boot/loader/entries/a.conf': 'linux /a/linux\ninitrd /a/initrd\noptions quiet a=b\n' };
const entryFiles = { 'boot/a/linux': 'k', 'boot/a/initrd': 'i' };

test('without entries the newest kernel with its initrd', () => {
  assert.deepEqual(boots(treeOf(debian)), [
    '/boot/vmlinuz-6.10.1',
    '/boot/vmlinuz-6.10.1',
    ['/boot/initrd.img-6.10.1'],
    [],
  ]);
  assert.deepEqual(boots(treeOf({ 'usr/lib/modules/6.8/vmlinuz': 'k' })), [
    '/usr/lib/modules/6.8/vmlinuz',
    '/usr/lib/modules/6.8/vmlinuz',
    [],
    [],
  ]);
});

test('an entry goes before that, with its initrd and options; one without its files does not count', () => {
  assert.deepEqual(boots(treeOf({ ...debian, ...entry, ...entryFiles })), [
    '/boot/loader/entries/a.conf',
    '/boot/a/linux',
    ['/boot/a/initrd'],
    ['quiet', 'a=b'],
  ]);
  assert.deepEqual(
    (boots(treeOf({ ...debian, ...entry, 'boot/a/linux': 'k' })) as string[])[0],
    '/boot/vmlinuz-6.10.1',
  );
});

test('a unified kernel image goes before an entry, and what loader.conf names before both', () => {
  const files = { ...entry, ...entryFiles, 'efi/EFI/Linux/b-1.efi': 'u', 'efi/EFI/Linux/b-2.efi': 'u' };
  const first = (tree: string) => (boots(tree) as string[])[0];
  assert.equal(first(treeOf(files)), '/efi/EFI/Linux/b-2.efi');
  assert.equal(
    first(treeOf({ ...files, 'efi/loader/loader.conf': 'default b-1*\n' })),
    '/efi/EFI/Linux/b-1.efi',
  );
  assert.equal(
    first(treeOf({ ...files, 'boot/loader/loader.conf': 'default a\n' })),
    '/boot/loader/entries/a.conf',
  );
  // On the ESP, as a boot loader has it, for entries of all partitions.
  assert.equal(
    first(treeOf({ ...files, 'efi/loader/loader.conf': 'default a\n' })),
    '/boot/loader/entries/a.conf',
  );
});

test('whether the kernel has virtiofs, as its configuration says', () => {
  const virtiofs = (configuration: string) => {
    const tree = treeOf({ ...debian, 'boot/config-6.10.1': configuration });
    return inspectTree(tree, { architecture: 'x86_64', findKernel: true, copied: false }).boot?.virtiofs;
  };
  assert.equal(virtiofs('CONFIG_FUSE_FS=y\nCONFIG_VIRTIO_FS=y\n'), 'yes');
  assert.equal(virtiofs('CONFIG_VIRTIO_FS=m\n'), 'module');
  assert.equal(virtiofs('# CONFIG_VIRTIO_FS is not set\n'), 'no');
  const { boot } = inspectTree(treeOf(debian), { architecture: 'x86_64', findKernel: true, copied: false });
  assert.equal(boot?.virtiofs, null);
});

test('without a configuration the lists of modules say it, unless they leave it out', () => {
  const virtiofs = (list: string, text: string) => {
    const tree = treeOf({ ...debian, [`usr/lib/modules/6.10.1/${list}`]: text });
    return inspectTree(tree, { architecture: 'x86_64', findKernel: true, copied: false }).boot?.virtiofs;
  };
  assert.equal(virtiofs('modules.builtin', 'kernel/fs/fuse/fuse.ko\nkernel/fs/fuse/virtiofs.ko\n'), 'yes');
  assert.equal(
    virtiofs('modules.dep', 'kernel/a.ko:\nkernel/fs/fuse/virtiofs.ko.zst: kernel/fs/fuse/fuse.ko.zst\n'),
    'module',
  );
  assert.equal(virtiofs('modules.dep', 'kernel/a.ko: kernel/fs/fuse/novirtiofs.ko\n'), null);
});

test('links are followed inside of the tree only', () => {
  const tree = treeOf({ 'boot/vmlinuz-1': 'k', 'usr/lib/modules/1/x': 'x' });
  write(join(directory, 'outside'), 'secret');
  symlinkSync('../../../../../../boot/vmlinuz-1', join(tree, 'up'));
  symlinkSync('/boot/vmlinuz-1', join(tree, 'absolute'));
  symlinkSync(join(directory, 'outside'), join(tree, 'out'));
  symlinkSync('loop', join(tree, 'loop'));
  symlinkSync('/', join(tree, 'root'));
  const kernel = join(tree, 'boot/vmlinuz-1');
  assert.equal(fileInTree(tree, 'up'), kernel);
  assert.equal(fileInTree(tree, '/absolute'), kernel);
  assert.equal(fileInTree(tree, 'root/root/../boot/./vmlinuz-1'), kernel);
  assert.equal(fileInTree(tree, 'out'), null);
  assert.equal(resolveInTree(tree, 'loop'), null);
  assert.equal(fileInTree(tree, 'boot'), null);
  const entries = join(tree, 'boot/loader/entries');
  mkdirSync(entries, { recursive: true });
  write(join(entries, 'evil.conf'), `linux ../../../../../..${join(directory, 'outside')}\n`);
  assert.equal((boots(tree) as string[])[0], '/boot/vmlinuz-1');
});

test('what cannot be booted or shared is refused with the option', () => {
  const inspect = (path: string) => () =>
    inspectTree(path, { architecture: 'x86_64', findKernel: true, copied: false });
  assert.throws(inspect(treeOf({ 'etc/passwd': 'x' })), {
    code: 'IMAGE',
    message: /^--directory=.* has no kernel$/,
  });
  assert.throws(inspect(join(directory, 'absent')), { message: /^--directory=.*absent does not exist$/ });
  assert.throws(inspect(join(directory, 'outside')), { message: /is no directory$/ });
  assert.throws(() => inspectDirectory(join(directory, 'outside', 'x'), '--bind='), {
    message: /^--bind=.* does not exist$/,
  });
  symlinkSync('absent', join(directory, 'dangling'));
  assert.throws(() => inspectDirectory(join(directory, 'dangling'), '--bind='), {
    message: /does not exist$/,
  });
});

test('the version of systemd is that of its library, the newest of several, wherever it lies', () => {
  const version = (files: Record<string, string>) =>
    inspectTree(treeOf(files), { architecture: 'x86_64', findKernel: false, copied: false }).systemd;
  assert.equal(version(debian), null);
  assert.equal(version({ 'usr/lib/systemd/libsystemd-shared-252.so': 'x' }), 252);
  assert.equal(version({ 'usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so': 'x' }), 257);
  assert.equal(version({ 'lib/systemd/libsystemd-shared-247.so': 'x' }), 247);
  const several = {
    'usr/lib/systemd/libsystemd-shared-99.so': 'x',
    'usr/lib/systemd/libsystemd-shared-257.9-1.so': 'x',
    'usr/lib/systemd/libsystemd-shared-256~rc3-1.fc41.so': 'x',
    'usr/lib/systemd/libsystemd-core-300.so': 'x',
    'usr/lib/systemd/libsystemd-shared-301.so.debug': 'x',
  };
  assert.equal(version(several), 257);
});
