import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { parseMac, probeNetwork } from '../../src/host/network.ts';

suite('network', () => {
  test('a MAC address may have colons or hyphens, and large letters', () => {
    assert.equal(parseMac('52:54:00:AB:cd:ef'), '52:54:00:ab:cd:ef');
    assert.equal(parseMac('52-54-00-ab-cd-ef'), '52:54:00:ab:cd:ef');
    assert.equal(
      probeNetwork({ SYSTEMD_VMSPAWN_NETWORK_MAC: '02:00:00:00:00:01' }, false).mac,
      '02:00:00:00:00:01',
    );
    assert.equal(probeNetwork({ SYSTEMD_VMSPAWN_NETWORK_MAC: '' }, false).mac, null);
    assert.equal(probeNetwork({}, false).mac, null);
  });

  for (const [value, reason] of [
    ['52:54:00:12:34', /is no MAC address/],
    ['52:54:00:12:34:5g', /is no MAC address/],
    ['52:54:00:12:34:56\n', /is no MAC address/],
    ['525400123456', /is no MAC address/],
    ['01:00:5e:00:00:01', /is the address of a group/],
    ['ff:ff:ff:ff:ff:ff', /is the address of a group/],
    ['00:00:00:00:00:00', /is no address of a machine/],
  ] as const) {
    test(`${JSON.stringify(value)} is refused`, () => {
      assert.throws(
        () => parseMac(value),
        (error) => error instanceof UsageError && reason.test(error.message),
      );
    });
  }

  test('what is taken is six bytes that one machine can have', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
        const text = Buffer.from(bytes)
          .toString('hex')
          .replace(/..(?=.)/g, '$&:');
        const usable = (bytes[0] ?? 0) % 2 === 0 && bytes.some((byte) => byte !== 0);
        if (usable) assert.equal(parseMac(text), text);
        else assert.throws(() => parseMac(text), UsageError);
      }),
    );
  });
});
