import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeLabel } from '../../src/dbus/object-path.ts';

test('names become elements of object paths as systemd makes them', () => {
  // What `busctl tree org.freedesktop.systemd1` shows for such units.
  assert.equal(escapeLabel('dbus.service'), 'dbus_2eservice');
  assert.equal(escapeLabel('machine-a\\x2db.scope'), 'machine_2da_5cx2db_2escope');
  assert.equal(escapeLabel('1st9'), '_31st9');
  assert.equal(escapeLabel('é_'), '_c3_a9_5f');
  assert.equal(escapeLabel(''), '_');
});
