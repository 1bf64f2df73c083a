import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { test } from 'node:test';
import type { VmspawnError } from '../../src/errors.ts';
import { Taps } from '../../src/launch/taps.ts';
import { openTap } from '../../src/sys/tap.ts';

const name = `vt-t${process.pid}`.slice(0, 15);
const [place, other] = [`/sys/class/net/${name}`, `${name.slice(0, 14)}x`];
const planned = (...names: readonly string[]) =>
  names.map((one, index) => ({ target: 10 + index, kind: 'tap', interface: one }) as const);

function refused(message: RegExp, hint: RegExp, names = [name]): void {
  assert.throws(
    () => new Taps(planned(...names)),
    (error: VmspawnError) => {
      assert.equal(error.code, 'HOST');
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
      assert.match(error.message, new RegExp(`^--network-tap: the network interface ${name} `));
      return true;
    },
  );
}

test('an interface is there until QEMU gets it, or until the start is given up', () => {
  const taps = new Taps(planned(name));
  assert.ok(existsSync(place));
  const fd = taps.take(10);
  assert.throws(() => taps.take(10));
  taps[Symbol.dispose]();
  assert.ok(existsSync(place));
  closeSync(fd);
  assert.ok(!existsSync(place));
  {
    using _taps = new Taps(planned(name));
    assert.ok(existsSync(place));
  }
  assert.ok(!existsSync(place));
});

test('one that another program has is refused, and what was made before it is gone', () => {
  const holder = openTap(name);
  try {
    refused(/in use by another program$/, /--machine=NAME/, [other, name]);
    assert.ok(!existsSync(`/sys/class/net/${other}`));
  } finally {
    closeSync(holder);
  }
});

test('what is there and no TAP interface, or another user’s, is told apart from what cannot be made', () => {
  const ip = (action: string, mode: string, ...more: readonly string[]) =>
    execFileSync('ip', ['tuntap', action, 'dev', name, 'mode', mode, ...more]);
  ip('add', 'tun');
  try {
    refused(/is there, but is no TAP interface/, /--machine=NAME/);
  } finally {
    ip('del', 'tun');
  }
  const asUser = (message: RegExp) => {
    process.seteuid?.(1234);
    try {
      refused(message, /ip tuntap add vt-\S+ mode tap user USER/);
    } finally {
      process.seteuid?.(0);
    }
  };
  asUser(/cannot be made without the capability CAP_NET_ADMIN$/);
  ip('add', 'tap', 'user', '1');
  try {
    asUser(/is there, but may not be used by this user$/);
  } finally {
    ip('del', 'tap');
  }
});
