import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { test } from 'node:test';
import { ioUringWorks } from '../../src/sys/io-uring.ts';
import { openTap } from '../../src/sys/tap.ts';

test('a TAP interface is there as long as its descriptor, and has one owner', () => {
  const name = `vt-test${process.pid}`.slice(0, 15);
  const place = `/sys/class/net/${name}`;
  const fd = openTap(name);
  try {
    assert.ok(existsSync(place));
    assert.throws(() => openTap(name), { code: 'EBUSY' });
  } finally {
    closeSync(fd);
  }
  assert.ok(!existsSync(place));
});

test('whether io_uring works is what the kernel says', () => {
  const forbidden = execFileSync('cat', ['/proc/sys/kernel/io_uring_disabled'], { encoding: 'utf8' }).trim();
  assert.equal(ioUringWorks(), forbidden === '0');
});
