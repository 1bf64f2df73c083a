import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import type * as library from '../../src/index.ts';
import { smallGuest } from '../guests.ts';
import { leftovers, until } from './harness.ts';

/** The built library, as a program that depends on it gets it. */
const { LockError, spawn, UsageError } = createRequire(__filename)(
  asset('dist', 'index.cjs'),
) as typeof library;

function options(machine: string): library.SpawnOptions {
  const { kernel, initrd } = smallGuest();
  return { machine, linux: kernel, initrd, firmware: 'none', ram: '256M', tpm: false, kvm: false };
}

test('a program boots a machine, talks to its console and powers it off', { timeout: 120_000 }, async () => {
  const notices: string[] = [];
  await using vm = await spawn({
    ...options('library'),
    kernelCommandLine: ['from=program'],
    onNotice: (notice) => notices.push(notice.text),
  });
  await vm.ready;
  assert.equal(vm.name, 'library');
  assert.equal(vm.plan.machine, 'library');
  let text = '';
  assert.ok(vm.console !== null);
  vm.console.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  await until(() => text.includes('vmspawn-small: ready'));
  assert.match(text, /cmdline: .*from=program/);
  await assert.rejects(spawn(options('library')), LockError);
  vm.console.write('echo to-the-guest\n');
  await until(() => /\nto-the-guest\r/.test(text));
  const { status, error } = await vm.powerOff();
  assert.equal(status, 0, error?.message);
  assert.ok(
    notices.some((notice) => notice.includes('powered off')),
    notices.join(),
  );
  assert.deepEqual(leftovers('library'), []);
});

test('terminate ends a machine at once; await using ends one that is left', {
  timeout: 120_000,
}, async () => {
  {
    await using vm = await spawn({ ...options('library-end'), console: 'headless', shutdownTimeout: 0 });
    assert.equal(vm.console, null);
  }
  assert.deepEqual(leftovers('library-end'), []);
  const vm = await spawn({ ...options('library-end'), shutdownTimeout: Number.POSITIVE_INFINITY });
  const { status } = await vm.terminate();
  assert.equal(status, 0);
  assert.deepEqual(leftovers('library-end'), []);
});

test('a machine whose guest has powered itself off leaves no timer behind when it is disposed of', {
  timeout: 120_000,
}, async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  {
    await using vm = await spawn(options('library-off'));
    let text = '';
    assert.ok(vm.console !== null);
    vm.console.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    await until(() => text.includes('vmspawn-small: ready'));
    vm.console.write('poweroff\n');
    assert.equal((await vm.exited).status, 0);
    void vm.powerOff();
  }
  assert.equal(timers(), before);
});

test('what cannot be used is a UsageError, and a start can be given up', async () => {
  const wrong: readonly Record<string, unknown>[] = [
    { ram: 0 },
    { cpus: 1.5 },
    { firmware: 'list' },
    { networkUserMode: 'yes' },
    { kernelCommandLine: 'quiet' },
    { nonsense: true },
  ];
  for (const one of wrong) {
    await assert.rejects(spawn({ ...options('library-wrong'), ...one }), UsageError, JSON.stringify(one));
  }
  await assert.rejects(
    spawn({ ...options('library-wrong'), signal: AbortSignal.abort(new Error('not now')) }),
    /given up: not now|given up/,
  );
  assert.deepEqual(leftovers('library-wrong'), []);
});
