import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inEveryTestbed, leftovers, systemctl } from './machine.ts';

inEveryTestbed((testbed) => {
  test('a Debian guest with firmware and TPM is powered off in order', { timeout: 900_000 }, async () => {
    const copy = ['cp', '--sparse=always', testbed().guest.debian, '/tmp/debian.raw'];
    await testbed().check(copy, { timeout: 120_000 });
    await using machine = testbed().spawn([
      testbed().program,
      ...[
        '--machine=debian',
        '--image=/tmp/debian.raw',
        '--firmware=uefi',
        '--tpm=yes',
        '--ram=1G',
        '--kvm=no',
      ],
    ]);
    const booted = await machine.seen(/login: /);
    const swtpm = await systemctl(testbed(), 'root', 'is-active', 'machine-debian-swtpm.service');
    assert.equal(swtpm, 'active');
    await systemctl(testbed(), 'root', 'stop', 'machine-debian.scope');
    const end = await machine.ended;
    assert.equal(end.status, 0, end.stderr);
    assert.match(end.stdout.slice(booted), /Power(ing)? ?(down|off)|Reached target.*Power/i);
    assert.match(end.stderr, /The guest has powered off/);
    assert.deepEqual(await leftovers(testbed(), 'debian'), []);
    // State is for the next boot.
    await testbed().check(['test', '-s', '/tmp/debian.raw.tpmstate/tpm2-00.permall']);
  });
});
