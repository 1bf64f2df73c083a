import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { blockDeviceSize } from '../../src/sys/block.ts';
import { SystemCallError } from '../../src/sys/koffi.ts';

test('the size of every block device that this user may open is that of sysfs', () => {
  for (const name of readdirSync('/sys/block')) {
    let fd: number;
    try {
      fd = openSync(`/dev/${name}`, 'r');
    } catch {
      continue;
    }
    try {
      assert.equal(blockDeviceSize(fd), Number(readFileSync(`/sys/block/${name}/size`, 'utf8')) * 512, name);
    } finally {
      closeSync(fd);
    }
  }
});

test('what is no block device is an error with a code', () => {
  const fd = openSync('/etc/passwd', 'r');
  try {
    assert.throws(
      () => blockDeviceSize(fd),
      (error) => error instanceof SystemCallError && error.code === 'ENOTTY',
    );
  } finally {
    closeSync(fd);
  }
});
