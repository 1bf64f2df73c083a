import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmspawnError } from '../../src/errors.ts';
import { inspectInitrd, inspectKernel } from '../../src/image/kernel.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();
const at = (name: string) => join(directory, name);

/** A PE file with these sections, each with 512 bytes; `edit` may break it. */
function pe(names: readonly string[], edit: (bytes: Buffer) => void = () => {}): Buffer {
  const bytes = Buffer.alloc(1024 + names.length * 512);
  bytes.write('MZ', 0, 'latin1');
  bytes.writeUInt32LE(128, 60);
  bytes.write('PE\0\0', 128, 'latin1');
  bytes.writeUInt16LE(0x8664, 132);
  bytes.writeUInt16LE(names.length, 134);
  bytes.writeUInt16LE(240, 148);
  names.forEach((name, index) => {
    const section = 128 + 24 + 240 + index * 40;
    bytes.write(name, section, 8, 'latin1');
    bytes.writeUInt32LE(512, section + 16);
    bytes.writeUInt32LE(1024 + index * 512, section + 20);
  });
  edit(bytes);
  return bytes;
}

const kernel = pe(['.setup', '.text']);
const uki = pe(['.text', '.osrel', '.cmdline', '.linux', '.initrd']);
const inspect = (path: string, architecture = 'x86_64') => inspectKernel(path, architecture, '--linux=');
const typeOf = async (bytes: Buffer, architecture?: string) =>
  (await inspect(write(at('kernel'), bytes), architecture)).type;
/** Zeros with text at some places. */
function file(parts: { readonly [at: number]: string }, length = 4096): Buffer {
  const bytes = Buffer.alloc(length);
  for (const [place, text] of Object.entries(parts)) bytes.write(text, Number(place), 'latin1');
  return bytes;
}
const boot = { 510: '\x55\xaa' };
const bzImage = file({ ...boot, 514: 'HdrS' });

test('kernels with an EFI stub, unified kernel images, and others', async () => {
  assert.deepEqual(await inspect(write(at('vmlinuz'), kernel)), {
    path: at('vmlinuz'),
    type: 'pe',
    size: kernel.length,
  });
  assert.equal(await typeOf(uki), 'uki');
  assert.equal(await typeOf(pe(['.text', '.osrel', '.cmdline'])), 'pe');
  assert.equal(await typeOf(pe([])), 'pe');
  assert.equal(await typeOf(bzImage), 'other');
  assert.equal(await typeOf(file({ 0: '\x7fELF' })), 'other');
  assert.equal((await inspect(process.execPath)).type, 'other');
});

test('what QEMU can start on an architecture, and what would show nothing', async () => {
  const refused = (message: RegExp) => ({ code: 'IMAGE', message });
  const none = refused(/^--linux=.*kernel is no kernel that QEMU can start on x86_64$/);
  for (const bytes of [
    Buffer.from('MZ'),
    Buffer.from('x'),
    Buffer.alloc(9000),
    file(boot),
    file({ 514: 'HdrS' }),
    file({ ...boot, 514: 'HdrS' }).subarray(0, 0x205),
    file({ 56: 'ARM\x64' }),
    file({ 0: 'QFI\xfb\0\0\0\x03' }),
  ]) {
    await assert.rejects(typeOf(bytes), none);
  }
  const gzip = file({ 0: '\x1f\x8b\x08' });
  await assert.rejects(typeOf(gzip), refused(/compressed with gzip, which QEMU does not unpack here$/));
  await assert.rejects(typeOf(file({ 0: '\x28\xb5\x2f\xfd' }), 'aarch64'), refused(/with Zstandard, which/));

  for (const bytes of [gzip, file({ 56: 'ARM\x64' }), file({ 0: '\x7fELF' })]) {
    assert.equal(await typeOf(bytes, 'aarch64'), 'other');
  }
  await assert.rejects(typeOf(bzImage, 'aarch64'), refused(/that QEMU can start on aarch64$/));
  assert.equal(await typeOf(Buffer.from('x'), 'sparc64'), 'other');

  const multiboot = (sum: number) => {
    const bytes = Buffer.alloc(8192);
    for (const [index, value] of [0x1badb002, 0x10003, sum].entries()) {
      bytes.writeUInt32LE(value, 4096 + 4 * index);
    }
    return bytes;
  };
  assert.equal(await typeOf(multiboot(2 ** 32 - 0x1badb002 - 0x10003)), 'other');
  await assert.rejects(typeOf(multiboot(1)), none);
});

test('a real PE file made by objcopy becomes a unified kernel image by a section', async () => {
  write(at('raw'), Buffer.alloc(4096, 1));
  execFileSync('objcopy', [
    '-I',
    'binary',
    '-O',
    'pei-x86-64',
    '-B',
    'i386:x86-64',
    at('raw'),
    at('stub.efi'),
  ]);
  assert.equal((await inspect(at('stub.efi'))).type, 'pe');
  execFileSync('objcopy', [`--add-section=.linux=${at('raw')}`, at('stub.efi'), at('uki.efi')]);
  const facts = await inspect(at('uki.efi'));
  assert.equal(facts.type, 'uki');
  assert.equal(facts.size, statSync(at('uki.efi')).size);
});

test('offsets past the end and cut files', async () => {
  const broken = (offset: number, value: number, bytes = uki) => {
    const copy = Buffer.from(bytes);
    copy.writeUInt32LE(value, offset);
    return copy;
  };
  const linux = 128 + 24 + 240 + 3 * 40;
  for (const offset of [0xffffffff, uki.length - 10, 0]) {
    await assert.rejects(typeOf(broken(60, offset)), { code: 'IMAGE', message: /is no kernel that QEMU/ });
    assert.equal(await typeOf(broken(60, offset, file({ ...boot, 0: 'MZ', 514: 'HdrS' }))), 'other');
  }
  for (const [bytes, message] of [
    [broken(linux + 20, 0xffffffff), /is cut off: its kernel ends at byte 4294967807/],
    [broken(linux + 16, 0xffffffff), /is cut off: its kernel ends at byte/],
    [uki.subarray(0, 500), /ends within its section table/],
    [uki.subarray(0, 2000), /is cut off: its kernel ends/],
    [pe(['.text'], (edit) => edit.writeUInt16LE(0xffff, 134)), /says 65535 sections/],
    [pe(['.text'], (edit) => edit.writeUInt16LE(0xffff, 148)), /ends within its section table/],
  ] as const) {
    await assert.rejects(typeOf(bytes), { code: 'IMAGE', message });
  }
});

test('damaged headers give a type or an ImageError', async () => {
  const byte = fc.record({ at: fc.nat(640), value: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(byte, { maxLength: 8 }), fc.nat(uki.length), async (edits, length) => {
      const bytes = Buffer.from(uki);
      for (const { at: offset, value } of edits) bytes.writeUInt8(value, offset);
      try {
        assert(['pe', 'uki', 'other'].includes(await typeOf(bytes.subarray(0, length))));
      } catch (error) {
        assert(error instanceof VmspawnError && error.code === 'IMAGE', String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('what is no kernel file', async () => {
  execFileSync('mkfifo', [at('fifo')]);
  for (const [path, message] of [
    [at('absent'), /^--linux=.*absent does not exist$/],
    [directory, /is a directory/],
    [at('fifo'), /is a FIFO, no regular file/],
    ['/dev/zero', /is a character device, no regular file/],
    [write(at('empty')), /is an empty file/],
  ] as const) {
    await assert.rejects(inspect(path), { code: 'IMAGE', message });
  }
});

test('an initrd is any file with content', async () => {
  truncateSync(write(at('initrd')), 5 * 1024 ** 3);
  assert.deepEqual(await inspectInitrd(at('initrd'), '--initrd='), {
    path: at('initrd'),
    size: 5 * 1024 ** 3,
  });
  for (const [path, message] of [
    [at('absent'), /^--initrd=.*absent does not exist$/],
    [directory, /is a directory$/],
    [at('fifo'), /is a FIFO, no regular file$/],
    [at('empty'), /^--initrd=.*empty is an empty file$/],
  ] as const) {
    await assert.rejects(inspectInitrd(path, '--initrd='), { code: 'IMAGE', message });
  }
});
