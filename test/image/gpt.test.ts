import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { findRootPartition, readPartitions } from '../../src/image/gpt.ts';
import { openGuestDisk } from '../../src/image/guest-disk.ts';
import { inspectImage } from '../../src/image/inspect.ts';
import type { ReadAt } from '../../src/image/qcow2-clusters.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();
const at = (name: string) => join(directory, name);
const qemuImg = (...words: string[]) => execFileSync('qemu-img', words, { cwd: directory, stdio: 'pipe' });

const esp = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const rootType = '4f68bce3-e8cd-4db1-96e7-fbcaf984b709';
const usrType = '8484680c-9521-48c6-9c11-b0720656f69e';
const uuid = '8c3f8a58-3c1b-4a1e-9a0d-3f1c6e0b7d13';

function makeDisk(name: string, script: string, ...words: string[]): string {
  const fd = openSync(at(name), 'w');
  ftruncateSync(fd, 64 * 1024 ** 2);
  closeSync(fd);
  execFileSync('sfdisk', ['-q', ...words, at(name)], { input: script, stdio: ['pipe', 'pipe', 'pipe'] });
  return at(name);
}

const script = `label: gpt
start=2048, size=8192, type=${esp}, name=esp
start=16384, size=8192, type=${rootType}, uuid=${uuid}, name="a root"
`;
const raw = makeDisk('disk.raw', script);

async function rootOf(name: string, format: 'raw' | 'qcow2' = 'qcow2') {
  using disk = openGuestDisk(await inspectImage(at(name), format));
  return findRootPartition(readPartitions(disk.read, disk.size) ?? [], 'x86_64');
}

function ofBytes(bytes: Buffer): ReadAt {
  return (offset, length) => bytes.subarray(offset, offset + length);
}

suite('GPT', () => {
  test('partitions as sfdisk wrote them', () => {
    const bytes = readFileSync(raw);
    const partitions = readPartitions(ofBytes(bytes), bytes.length);
    assert.deepEqual(
      partitions?.map(({ type, offset, size, label }) => [type, offset, size, label]),
      [
        [esp, 2048 * 512, 8192 * 512, 'esp'],
        [rootType, 16384 * 512, 8192 * 512, 'a root'],
      ],
    );
    assert.equal(partitions?.[1]?.uuid, uuid);
  });

  test('a damaged table at the start is replaced by the one at the end; two damaged ones are none', () => {
    for (const place of [512 + 60, 1024 + 200]) {
      const bytes = readFileSync(raw);
      bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
      assert.equal(readPartitions(ofBytes(bytes), bytes.length)?.length, 2);
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 512 + 60) ^ 1, bytes.length - 512 + 60);
      assert.equal(readPartitions(ofBytes(bytes), bytes.length), null);
    }
  });

  test('sectors of 4096 bytes', () => {
    // The table of the other disk, with its header and array where such a disk has them.
    const small = readFileSync(raw);
    const bytes = Buffer.alloc(16 * 1024 ** 2);
    small.copy(bytes, 4096, 512, 1024);
    small.copy(bytes, 2 * 4096, 1024, 1024 + 128 * 128);
    bytes.writeBigUInt64LE(2n, 4096 + 72);
    bytes.writeUInt32LE(0, 4096 + 16);
    bytes.writeUInt32LE(crc32(bytes.subarray(4096, 4096 + 92)), 4096 + 16);
    const [, partition] = readPartitions(ofBytes(bytes), bytes.length) ?? [];
    assert.deepEqual([partition?.uuid, partition?.offset], [uuid, 16384 * 4096]);
  });

  test('root before /usr; neither with the flag that they are not to be found, nor of another architecture', () => {
    const partition = (type: string, attributes = 0n) => ({
      type,
      uuid: type,
      offset: 0,
      size: 1,
      attributes,
      label: '',
    });
    const root = { kind: 'root', uuid: rootType, readOnly: false };
    assert.deepEqual(findRootPartition([partition(usrType), partition(rootType)], 'x86_64'), root);
    assert.deepEqual(findRootPartition([partition(rootType, 1n << 60n)], 'x86_64'), {
      ...root,
      readOnly: true,
    });
    assert.equal(findRootPartition([partition(rootType, 1n << 63n)], 'x86_64'), null);
    assert.deepEqual(findRootPartition([partition(usrType)], 'x86_64'), {
      ...root,
      kind: 'usr',
      uuid: usrType,
    });
    assert.equal(findRootPartition([partition(rootType)], 'aarch64'), null);
    assert.equal(findRootPartition([partition(rootType)], 'sparc'), null);
  });

  test('no bytes make it throw or take long', () => {
    const good = readFileSync(raw).subarray(0, 34 * 512);
    const change = fc.tuple(fc.integer({ min: 512, max: 1100 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.boolean(), (changes, random) => {
        const bytes = random ? Buffer.alloc(1024, 'EFI PART') : Buffer.from(good);
        for (const [place, value] of changes) if (place < bytes.length) bytes.writeUInt8(value, place);
        readPartitions(ofBytes(bytes), bytes.length);
      }),
    );
  });
});

suite('the table through qcow2', () => {
  const root = { kind: 'root', uuid, readOnly: false };
  test('raw', async () => assert.deepEqual(await rootOf('disk.raw', 'raw'), root));

  for (const [name, options] of Object.entries({
    plain: [],
    compressed: ['-c'],
    old: ['-o', 'compat=0.10'],
    'small-clusters': ['-o', 'cluster_size=512'],
    'big-clusters': ['-c', '-o', 'cluster_size=2M'],
    extended: ['-o', 'extended_l2=on'],
  })) {
    test(name, async () => {
      qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, 'disk.raw', `${name}.qcow2`);
      assert.deepEqual(await rootOf(`${name}.qcow2`), root);
    });
  }

  test('every byte is the guest\u2019s, over a chain whose layers have different sizes and clusters', async () => {
    qemuImg(
      'create',
      '-f',
      'qcow2',
      '-o',
      'cluster_size=4k',
      '-b',
      'disk.raw',
      '-F',
      'raw',
      'mid.qcow2',
      '80M',
    );
    qemuImg(
      'create',
      '-f',
      'qcow2',
      '-o',
      'extended_l2=on',
      '-b',
      'mid.qcow2',
      '-F',
      'qcow2',
      'top.qcow2',
      '96M',
    );
    const write = (file: string, ...commands: string[]) =>
      execFileSync('qemu-io', ['-f', 'qcow2', ...commands.flatMap((one) => ['-c', one]), at(file)], {
        stdio: 'pipe',
      });
    write('mid.qcow2', 'write -P 1 3M 10k', 'write -z 4M 8k', 'write -P 2 70M 4k');
    write('top.qcow2', 'write -P 3 3M 2k', 'write -z 3078k 2k', 'write -P 4 90M 512');
    qemuImg('convert', '-f', 'qcow2', '-O', 'raw', 'top.qcow2', 'flat.raw');
    const expected = readFileSync(at('flat.raw'));
    using disk = openGuestDisk(await inspectImage(at('top.qcow2'), 'qcow2'));
    assert.equal(disk.size, expected.length);
    for (const offset of [
      0,
      3 * 1024 ** 2 - 700,
      4 * 1024 ** 2 - 100,
      64 * 1024 ** 2 - 4096,
      70 * 1024 ** 2,
      90 * 1024 ** 2 - 300,
    ]) {
      const length = 20_001;
      assert.ok(disk.read(offset, length).equals(expected.subarray(offset, offset + length)), `at ${offset}`);
    }
    assert.equal(disk.read(disk.size - 10, 100).length, 10);
    assert.deepEqual(await rootOf('top.qcow2'), root);
  });

  test('a damaged table is an ImageError, not a crash', async () => {
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'damaged.qcow2');
    const fd = openSync(at('damaged.qcow2'), 'r+');
    const l1 = Number(readFileSync(at('damaged.qcow2')).readBigUInt64BE(40));
    writeSync(fd, Buffer.from('80ffffffffff0000', 'hex'), 0, 8, l1);
    closeSync(fd);
    await assert.rejects(rootOf('damaged.qcow2'), { code: 'IMAGE', message: /damaged.qcow2 is damaged/ });
  });
});
