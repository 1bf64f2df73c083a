import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { FactCache } from '../../src/host/cache.ts';
import { probeKvm } from '../../src/host/kvm.ts';

const directory = mkdtempSync(join(tmpdir(), 'vmspawn-test-'));
after(() => rmSync(directory, { recursive: true }));

const device = join(directory, 'kvm');
writeFileSync(device, '');

function modules(...names: string[]): string {
  const root = mkdtempSync(join(directory, 'modules-'));
  for (const name of names) mkdirSync(join(root, name));
  return root;
}

function program(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const works = program('works', 'exit 0');

test('a device that is missing or must not be opened is told by name', async () => {
  assert.deepEqual(await probeKvm({ device: '/nonexistent/kvm', modules: modules('kvm_intel') }), {
    usable: false,
    reason: '/nonexistent/kvm does not exist',
  });
  assert.deepEqual(await probeKvm({ device: directory, modules: modules('kvm_intel') }), {
    usable: false,
    reason: `${directory} cannot be opened (EISDIR)`,
  });
});

test('kvm_pvm alone is unusable; beside hardware support the test guest decides', async () => {
  assert.deepEqual(await probeKvm({ device, modules: modules('kvm', 'kvm_pvm'), program: works }), {
    usable: false,
    reason: "the kernel's KVM is kvm_pvm without kvm_intel or kvm_amd, which cannot run an unmodified guest",
  });
  for (const module of ['kvm_intel', 'kvm_amd']) {
    assert.deepEqual(await probeKvm({ device, modules: modules('kvm_pvm', module), program: works }), {
      usable: true,
      device,
    });
  }
  // Built into the kernel: no module at all.
  assert.equal((await probeKvm({ device, modules: modules(), program: works })).usable, true);
});

test('a test guest that fails gives the reason; what will not change is cached', async () => {
  const kept = new Map<string, unknown>();
  const cache: FactCache = { get: (key) => kept.get(key), set: (key, value) => kept.set(key, value) };
  const busy = program('busy', 'echo "no machine can be made" >&2; exit 1');
  const fails = program('fails', 'echo "it failed in long mode" >&2; exit 2');
  const options = { device, modules: modules('kvm_amd'), cache };
  const failed = { usable: false, reason: 'a test guest did not get through (it failed in long mode)' };

  assert.equal((await probeKvm({ ...options, program: busy })).usable, false);
  assert.equal(kept.size, 0);
  assert.deepEqual(await probeKvm({ ...options, program: fails }), failed);
  assert.deepEqual(await probeKvm({ ...options, program: works }), failed, 'from the cache');
  for (const key of kept.keys()) kept.set(key, { usable: 'nonsense' });
  assert.equal((await probeKvm({ ...options, program: works })).usable, true, 'a cache of something else');
  assert.equal((await probeKvm({ ...options, program: fails })).usable, true, 'from the cache');
});

test('a test program that is killed is a reason; one that is not there or cannot run is none', async () => {
  const options = { device, modules: modules('kvm_amd') };
  const killed = program('killed', 'kill -9 $$');
  assert.deepEqual(await probeKvm({ ...options, program: killed }), {
    usable: false,
    reason: 'a test guest did not get through (it was killed by SIGKILL)',
  });
  assert.equal((await probeKvm({ ...options, program: '/nonexistent' })).usable, true);
  assert.equal((await probeKvm({ ...options, program: device })).usable, true);
});

test('the compiled program refuses what is no KVM', () => {
  const result = spawnSync('dist/vmspawn-child', ['kvm-probe', '/dev/null'], { encoding: 'utf8' });
  assert.equal(result.status, 1);
  assert.equal(result.stderr, "the device does not speak KVM's API 12\n");
  const missing = spawnSync('dist/vmspawn-child', ['kvm-probe', '/nonexistent'], { encoding: 'utf8' });
  assert.equal(missing.stderr, 'the device cannot be opened: No such file or directory\n');
});

test('the KVM of this host and the test guest agree', async () => {
  const facts = await probeKvm();
  const result = spawnSync('dist/vmspawn-child', ['kvm-probe'], { encoding: 'utf8', timeout: 10_000 });
  assert.equal(facts.usable, result.status === 0, `${JSON.stringify(facts)} and ${result.stderr}`);
});
