import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { emptyQcow2 } from '../../src/image/empty-qcow2.ts';
import { parseQcow2 } from '../../src/image/qcow2.ts';
import { temporaryDirectory } from '../temporary.ts';

const directory = temporaryDirectory();

function make(size: number): string {
  const path = join(directory, 'empty.qcow2');
  const { writes, length } = emptyQcow2(size);
  const fd = openSync(path, 'w');
  for (const { offset, bytes } of writes) writeSync(fd, bytes, 0, bytes.length, offset);
  ftruncateSync(fd, length);
  closeSync(fd);
  return path;
}

test('QEMU finds nothing wrong with an empty image, whatever its size', () => {
  for (const size of [512, 1024 ** 2, 512 * 1024 ** 2 + 512, 10 * 1024 ** 4, 2 ** 53 / 8]) {
    const path = make(size);
    execFileSync('qemu-img', ['check', '-q', '-f', 'qcow2', path]);
    const info: unknown = JSON.parse(
      execFileSync('qemu-img', ['info', '--output=json', '-f', 'qcow2', path], { encoding: 'utf8' }),
    );
    assert.ok(typeof info === 'object' && info !== null && 'virtual-size' in info);
    assert.equal(info['virtual-size'], size);
    assert.ok(!('backing-filename' in info));
  }
});

test('our own reader takes it for what it is', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (sectors) => {
      const { writes, length } = emptyQcow2(sectors * 512);
      const start = Buffer.alloc(65536);
      writes[0]?.bytes.copy(start);
      assert.deepEqual(parseQcow2(start, length), {
        version: 3,
        clusterSize: 65536,
        virtualSize: sectors * 512,
        backing: null,
        dataFile: null,
      });
    }),
  );
});

test('what lies below it shows through, and stays as it is', () => {
  const base = join(directory, 'base.raw');
  const content = Buffer.alloc(1024 ** 2 + 512, 'base');
  writeFileSync(base, content);
  const path = make(2 * 1024 ** 2);
  const node = JSON.stringify({
    driver: 'qcow2',
    file: { driver: 'file', filename: path },
    backing: { driver: 'raw', 'read-only': true, file: { driver: 'file', filename: base } },
  });
  const output = execFileSync(
    'qemu-io',
    ['-c', 'write -P 7 4096 512', '-c', 'read -P 7 4096 512', '-c', 'read -P 0 1049088 512', `json:${node}`],
    { encoding: 'utf8' },
  );
  assert.doesNotMatch(output, /fail|error/i);
  assert.deepEqual(readFileSync(base), content);
});
