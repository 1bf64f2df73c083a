import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseQcow2, Qcow2Error } from '../../src/image/qcow2.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();
write(join(directory, 'base.raw'), Buffer.alloc(1024 * 1024));

/** The bytes of a new image of qemu-img. */
function create(...words: string[]): Buffer {
  const path = join(directory, 'new.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...words], { cwd: directory, stdio: 'pipe' });
  return readFileSync(path);
}

const plain = create('new.qcow2', '10G');
const overlay = create('-b', 'base.raw', '-F', 'raw', 'new.qcow2');
const parse = (bytes: Buffer) => parseQcow2(bytes.subarray(0, 65536), bytes.length);

/** The plain image with something else at an offset. */
function changed(edit: (bytes: Buffer) => void, from = plain): Buffer {
  const bytes = Buffer.from(from);
  edit(bytes);
  return bytes;
}

test('what qemu-img makes', () => {
  const none = { version: 3, clusterSize: 65536, virtualSize: 10 * 1024 ** 3, backing: null, dataFile: null };
  assert.deepEqual(parse(plain), none);
  assert.deepEqual(parse(create('-o', 'compat=0.10', 'new.qcow2', '10G')), { ...none, version: 2 });
  for (const size of [512, 4096, 2 * 1024 * 1024]) {
    const found = parse(create('-o', `cluster_size=${size}`, 'new.qcow2', '64M'));
    assert.deepEqual(found, { ...none, clusterSize: size, virtualSize: 64 * 1024 ** 2 });
  }
  for (const option of ['extended_l2=on', 'compression_type=zstd', 'lazy_refcounts=on', 'refcount_bits=1']) {
    assert.deepEqual(parse(create('-o', option, 'new.qcow2', '10G')), none, option);
  }
});

test('backing files and data files', () => {
  assert.deepEqual(parse(overlay).backing, { name: 'base.raw', format: 'raw' });
  assert.equal(parse(overlay).virtualSize, 1024 * 1024);
  const old = create('-o', 'compat=0.10', '-b', 'base.raw', '-F', 'raw', 'new.qcow2');
  assert.deepEqual(parse(old).backing, { name: 'base.raw', format: 'raw' });
  const external = create('-o', 'data_file=data.raw', 'new.qcow2', '1M');
  assert.equal(parse(external).dataFile, 'data.raw');
});

test('a file that grew a snapshot and a bitmap', () => {
  create('new.qcow2', '64M');
  const path = join(directory, 'new.qcow2');
  execFileSync('qemu-img', ['snapshot', '-c', 'one', path]);
  execFileSync('qemu-img', ['bitmap', '--add', path, 'b']);
  assert.equal(parse(readFileSync(path)).virtualSize, 64 * 1024 ** 2);
});

test('what cannot be used, with the reason', () => {
  const u32 = (offset: number, value: number) => changed((bytes) => bytes.writeUInt32BE(value, offset));
  const u64 = (offset: number, value: bigint, from = plain) =>
    changed((bytes) => bytes.writeBigUInt64BE(value, offset), from);
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /no qcow2 image/],
    [Buffer.alloc(4096), /no qcow2 image/],
    [plain.subarray(0, 4), /cut off/],
    [plain.subarray(0, 71), /cut off/],
    [plain.subarray(0, 103), /cut off/],
    [plain.subarray(0, 65536), /cut off/],
    [u32(4, 1), /unknown version 1/],
    [u32(4, 4), /unknown version 4/],
    [u32(20, 8), /clusters of 2\^8 bytes/],
    [u32(20, 22), /clusters of 2\^22 bytes/],
    [u32(20, 0xffffffff), /clusters of 2\^4294967295 bytes/],
    [u32(32, 2), /encrypted/],
    [u64(24, 0n), /0 bytes/],
    [u64(24, 2n ** 63n), /a disk of 9223372036854775808 bytes/],
    [u64(24, 2n ** 50n), /20 entries for a disk of/],
    [u32(36, 0xffffffff), /4294967295 entries/],
    [u64(40, 2n ** 63n), /first level table lies at 9223372036854775808/],
    [u64(40, 1n), /first level table lies at 1/],
    [u64(48, 2n ** 40n), /refcount table lies at/],
    [u32(56, 0), /refcount table of 0 bytes/],
    [u32(56, 0xffffffff), /refcount table of/],
    [u32(60, 100_000), /100000 snapshots/],
    [
      changed((bytes) => bytes.writeUInt32BE(1, 60).toString() && bytes.writeBigUInt64BE(2n ** 40n, 64)),
      /snapshot table/,
    ],
    [u32(96, 7), /more than 64 bits/],
    [u32(100, 72), /says to be 72 bytes/],
    [u32(100, 0xfffffff8), /says to be 4294967288 bytes/],
    [u64(72, 2n), /marked as corrupt/],
    [u64(72, 4n), /does not say in which/],
    [u64(72, 32n), /not known here \(0x20\)/],
    [u64(72, 2n ** 63n), /not known here \(0x8000000000000000\)/],
    [u32(116, 0xffffffff), /longer than the header/],
    [u64(8, 2n ** 63n, overlay), /name is said to be 8 bytes at 9223372036854775808/],
    [u64(8, 65530n, overlay), /name is said to be 8 bytes at 65530/],
    [u64(8, 20n, overlay), /name is said to be 8 bytes at 20/],
    [changed((bytes) => bytes.writeUInt32BE(1024, 16), overlay), /said to be 1024 bytes/],
    [
      changed((bytes) => bytes.writeUInt8(0, Number(bytes.readBigUInt64BE(8)) + 3), overlay),
      /contains a NUL/,
    ],
    [
      changed((bytes) => bytes.writeUInt8(0xff, Number(bytes.readBigUInt64BE(8))), overlay),
      /not valid UTF-8/,
    ],
  ];
  for (const [bytes, reason] of cases) {
    assert.throws(
      () => parse(bytes),
      (error) => {
        assert(error instanceof Qcow2Error);
        assert.match(error.message, reason);
        return true;
      },
      String(reason),
    );
  }
});

test('damaged headers are refused or read, never anything else', () => {
  const byte = fc.record({ at: fc.nat(700), value: fc.constantFrom(0, 1, 4, 8, 0x7f, 0x80, 0xff) });
  fc.assert(
    fc.property(
      fc.constantFrom(plain, overlay),
      fc.array(byte, { maxLength: 12 }),
      fc.nat(200_000),
      (image, edits, length) => {
        const bytes = Buffer.from(image);
        for (const { at, value } of edits) bytes.writeUInt8(value, at);
        try {
          const header = parse(bytes.subarray(0, Math.max(length, 4)));
          assert(header.virtualSize > 0 && Number.isSafeInteger(header.virtualSize));
          assert((header.backing?.name.length ?? 1) <= 1023);
        } catch (error) {
          assert(error instanceof Qcow2Error, String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
});
