import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { probeSshProxy } from '../../src/host/ssh-proxy.ts';
import { temporaryDirectory } from '../guests.ts';

test('what ssh(1) hands to systemd-ssh-proxy(1) is what the configuration of its version says', () => {
  using place = temporaryDirectory();
  const path = join(place.path, '20-systemd-ssh-proxy.conf');
  assert.deepEqual(probeSshProxy(path), { vsock: false, vsockMux: false });
  for (const [hosts, found] of [
    // Of 257 and 262.
    ['unix/* vsock/* machine/*', { vsock: true, vsockMux: false }],
    [
      'unix/* unix%* vsock/* vsock%* vsock-mux/* vsock-mux%* machine/* machine%*',
      { vsock: true, vsockMux: true },
    ],
  ] as const) {
    const local = 'Host .host machine/.host\n        ProxyUseFdpass yes\n';
    const text = `# vsock-mux/*\n${local}Host ${hosts}\n        ProxyCommand /usr/lib/systemd/systemd-ssh-proxy %h %p\n`;
    writeFileSync(path, text);
    assert.deepEqual(probeSshProxy(path), found);
  }
});
