import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const fixture = asset('build', 'test', 'host', 'fixtures', 'passed.cjs');

interface Result {
  readonly devices: { readonly kvm: number | null; readonly vhostVsock: number | null };
  readonly warnings: readonly string[];
  readonly open: readonly number[];
}

/** Passes files under names, the first as descriptor 3. */
function pass(files: readonly (readonly [name: string, path: string])[]): Result {
  const redirections = files.map(([, path], index) => `${index + 3}<${path}`).join(' ');
  const names = files.map(([name]) => name).join(':');
  const command = `exec ${redirections}; LISTEN_PID=$$ LISTEN_FDS=${files.length} LISTEN_FDNAMES=${names} exec "$0" "$1"`;
  return JSON.parse(
    execFileSync('bash', ['-c', command, process.execPath, fixture], { encoding: 'utf8' }),
  ) as Result;
}

test('the two devices are known by name and number; everything else is closed with a word', () => {
  // Device nodes of the same numbers, whether the host has the devices or not; opened by path only, never used.
  const kvm = existsSync('/dev/kvm') ? '/dev/kvm' : null;
  const result = pass([
    ['vhost-vsock', '/dev/null'],
    ['stranger', '/dev/zero'],
    ['kvm', kvm ?? '/dev/null'],
    ['kvm', '/dev/null'],
  ]);
  assert.equal(result.devices.vhostVsock, null);
  assert.equal(result.devices.kvm, kvm === null ? null : 5);
  assert.deepEqual(result.open, kvm === null ? [] : [5]);
  assert.match(
    result.warnings[0] ?? '',
    /descriptor 3 \("vhost-vsock"\) is closed: it is not \/dev\/vhost-vsock/,
  );
  assert.match(
    result.warnings[1] ?? '',
    /descriptor 4 \("stranger"\) is closed: only those named kvm and vhost-vsock/,
  );
  assert.match(result.warnings.at(-1) ?? '', /descriptor 6 \("kvm"\) is closed: /);
});

test('a regular file named kvm is no device', () => {
  const file = write(join(temporaryDirectory(), 'kvm'));
  const result = pass([['kvm', file]]);
  assert.deepEqual(result.devices, { kvm: null, vhostVsock: null });
  assert.equal(result.warnings.length, 1);
});
