import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { claimGuestCid, listenVsock, peerCid } from '../../src/sys/vsock.ts';

test('a listener gets a port of its own, another one each time', () => {
  const listeners = [listenVsock(), listenVsock()];
  for (const { fd, port } of listeners) {
    assert.ok(port > 1023 && port < 0xffffffff, String(port));
    assert.throws(() => peerCid(fd), { code: 'ENOTCONN' });
    closeSync(fd);
  }
  assert.notEqual(listeners[0]?.port, listeners[1]?.port);
});

test('a CID is claimed of nothing but the device', () => {
  const fd = openSync('/dev/null', 'r+');
  assert.throws(() => claimGuestCid(fd, 3), { code: 'ENOTTY' });
  closeSync(fd);
});
