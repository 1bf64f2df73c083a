import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { HeaderError } from '../../src/image/header-error.ts';
import { inspectImage } from '../../src/image/inspect.ts';
import type { OpenedFile } from '../../src/image/open.ts';
import { readVdi } from '../../src/image/vdi.ts';
import { readVhdx } from '../../src/image/vhdx.ts';
import { readVmdk } from '../../src/image/vmdk.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();

function create(format: string, size: string, ...options: string[]): string {
  const path = join(directory, `disk.${format}`);
  const words = options.length === 0 ? [] : ['-o', options.join(',')];
  execFileSync('qemu-img', ['create', '-q', '-f', format, ...words, path, size], { stdio: 'pipe' });
  return path;
}

function opened(bytes: Buffer): Pick<OpenedFile, 'read' | 'size'> {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

const formats = [
  { format: 'vmdk', read: readVmdk },
  { format: 'vdi', read: readVdi },
  { format: 'vhdx', read: readVhdx },
] as const;

for (const { format, read } of formats) {
  suite(format, () => {
    test('what qemu-img makes has the size of its disk', async () => {
      for (const [size, bytes] of [
        ['8M', 8 * 1024 ** 2],
        ['20G', 20 * 1024 ** 3],
      ] as const) {
        const { layers } = await inspectImage(create(format, size), format);
        assert.deepEqual(
          layers.map((layer) => [layer.format, layer.virtualSize, layer.dataFile]),
          [[format, bytes, null]],
        );
      }
    });

    test('something else is told with its name', async () => {
      const other = create(format === 'vdi' ? 'vhdx' : 'vdi', '8M');
      await assert.rejects(inspectImage(other, format), {
        code: 'IMAGE',
        message: /^The image .*disk\..* is no /,
      });
    });

    test('damaged headers are refused or read, never anything else', () => {
      const whole = readFileSync(create(format, '8M'));
      // VHDX has its tables at 192 KiB and from 2 MiB on, by which all of them are found.
      const places = [0, 192 * 1024, 2 * 1024 ** 2, 2 * 1024 ** 2 + 65536].filter((at) => at < whole.length);
      const byte = fc.record({
        at: fc.tuple(fc.constantFrom(...places), fc.nat(600)).map(([start, more]) => start + more),
        value: fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff),
      });
      fc.assert(
        fc.property(
          fc.array(byte, { maxLength: 8 }),
          fc.option(fc.nat(whole.length), { freq: 3, nil: whole.length }),
          (edits, length) => {
            const kept = edits.map(({ at }) => whole[at] ?? 0);
            for (const { at, value } of edits) if (at < whole.length) whole.writeUInt8(value, at);
            try {
              const size = read(opened(whole.subarray(0, length)));
              assert.ok(size > 0 && Number.isSafeInteger(size), String(size));
            } catch (error) {
              assert.ok(error instanceof HeaderError, String(error));
            } finally {
              for (const [index, { at }] of [...edits.entries()].reverse()) whole[at] = kept[index] ?? 0;
            }
          },
        ),
        { numRuns: 300 },
      );
    });
  });
}

suite('what refers to other files is refused', () => {
  const refused = (path: string, format: 'vmdk' | 'vdi' | 'vhdx', message: RegExp) =>
    assert.rejects(inspectImage(path, format), { code: 'IMAGE', message });

  test('VMDK of several files, stream-optimized, for ESX', async () => {
    for (const subformat of ['monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat']) {
      const path = create('vmdk', '8M', `subformat=${subformat}`);
      await refused(path, 'vmdk', /is a VMDK descriptor, which only names other files/);
    }
    await refused(create('vmdk', '8M', 'subformat=streamOptimized'), 'vmdk', /is a stream-optimized VMDK/);
  });

  test('VMDK with a parent, or with a header that stands for a list of files', async () => {
    const base = create('vmdk', '8M');
    execFileSync('mv', [base, join(directory, 'base.vmdk')]);
    const path = join(directory, 'top.vmdk');
    const words = ['create', '-q', '-f', 'vmdk', '-b', 'base.vmdk', '-F', 'vmdk', path];
    execFileSync('qemu-img', words, { cwd: directory, stdio: 'pipe' });
    await refused(path, 'vmdk', /has a parent image/);
    const bytes = readFileSync(create('vmdk', '8M'));
    bytes.writeBigUInt64LE(0n, 12);
    assert.throws(() => readVmdk(opened(bytes)), /refers to other files/);
    // QEMU looks at sector 1 even if the header says that the descriptor is elsewhere.
    const moved = readFileSync(create('vmdk', '8M'));
    moved.writeBigUInt64LE(0n, 28);
    moved.write('parentFileNameHint="/etc/passwd"\n', 512, 'latin1');
    assert.throws(() => readVmdk(opened(moved)), /has a parent image/);
  });

  test('VDI and VHDX that are based on another image', () => {
    const vdi = readFileSync(create('vdi', '8M'));
    for (const edit of [
      () => vdi.writeUInt32LE(4, 76),
      () => {
        vdi.writeUInt32LE(1, 76);
        vdi.writeUInt8(1, 440);
      },
    ]) {
      edit();
      assert.throws(() => readVdi(opened(vdi)), /is based on another one/);
    }
    const vhdx = readFileSync(create('vhdx', '8M'));
    const item = vhdx.indexOf(Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex'));
    const table = vhdx.indexOf('metadata', 0, 'latin1');
    const parameters = table + vhdx.readUInt32LE(item + 16);
    vhdx.writeUInt32LE(vhdx.readUInt32LE(parameters + 4) | 2, parameters + 4);
    assert.throws(() => readVhdx(opened(vhdx)), /is based on another one/);
  });
});
