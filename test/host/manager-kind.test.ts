import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chooseManager } from '../../src/host/manager-kind.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const scratch = temporaryDirectory();
let hosts = 0;

/** A /run with what is named: directories end with `/`. */
function host(...entries: readonly string[]): string {
  hosts += 1;
  const run = join(scratch, `host-${hosts}`);
  mkdirSync(run);
  for (const entry of entries) {
    const path = join(run, entry);
    mkdirSync(entry.endsWith('/') ? path : join(path, '..'), { recursive: true });
    if (!entry.endsWith('/')) write(path, '');
  }
  return run;
}

const booted = 'systemd/system/';

test('root has the manager of the system, where its bus has a socket', () => {
  const run = host(booted, 'dbus/system_bus_socket');
  const chosen = { kind: 'system', runtimeDirectory: run, forced: false };
  assert.deepEqual(chooseManager('auto', {}, 0, run), chosen);
  assert.deepEqual(chooseManager('system', {}, 0, run), { ...chosen, forced: true });
});

test('no socket of the bus: auto does without a manager, and it is told who was wanted', () => {
  const run = host(booted);
  const reason = `the system bus has no socket (${run}/dbus/system_bus_socket)`;
  assert.deepEqual(chooseManager('auto', {}, 0, run), { kind: 'none', reason, wanted: null });
  assert.deepEqual(chooseManager('system', {}, 0, run), { kind: 'none', reason, wanted: 'system' });
  // Somebody who says where the bus is wants that one.
  const environment = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/missing' };
  assert.equal(chooseManager('auto', environment, 0, run).kind, 'system');
});

test('a host that systemd does not run, and --manager=none', () => {
  const run = host('dbus/system_bus_socket');
  for (const uid of [0, 1000]) {
    const choice = chooseManager('auto', {}, uid, run);
    assert.deepEqual(choice, { kind: 'none', reason: 'systemd does not run this host', wanted: null });
  }
  assert.equal(chooseManager('none', {}, 0, host(booted, 'dbus/system_bus_socket')).kind, 'none');
});

test('others have their own manager', () => {
  const run = host(booted, 'dbus/system_bus_socket', 'user/systemd/', 'user/bus');
  const directory = join(run, 'user');
  const environment = { XDG_RUNTIME_DIR: directory };
  const chosen = { kind: 'user', runtimeDirectory: directory, forced: false };
  assert.deepEqual(chooseManager('auto', environment, 1000, run), chosen);
  assert.deepEqual(chooseManager('user', environment, 0, run), { ...chosen, forced: true });
  for (const [wrong, reason] of [
    [{}, /XDG_RUNTIME_DIR is not set/],
    [{ XDG_RUNTIME_DIR: 'relative' }, /XDG_RUNTIME_DIR is not set/],
    [{ XDG_RUNTIME_DIR: host() }, /no user manager runs in/],
    [{ XDG_RUNTIME_DIR: host('systemd/') }, /the user bus has no socket/],
  ] as const) {
    const choice = chooseManager('auto', wrong, 1000, run);
    assert.equal(choice.kind, 'none');
    assert.match(choice.kind === 'none' ? choice.reason : '', reason);
  }
  const denied = chooseManager('system', environment, 1000, run);
  assert.match(denied.kind === 'none' ? denied.reason : '', /only root/);
});
