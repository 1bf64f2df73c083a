import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devicesDriven } from '../../src/qemu/device-status.ts';
import { minimal, startQemu } from './start-qemu.ts';

test('a device that the firmware has given a place has no driver; of others nobody knows', {
  timeout: 120_000,
}, async () => {
  await using vm = await startQemu(() => ({
    ...minimal('status'),
    devices: [
      { driver: 'pcie-root-port', id: 'port0' },
      { driver: 'virtio-rng-pci', id: 'rng0', bus: 'port0' },
      { driver: 'virtio-balloon-pci', id: 'balloon0' },
    ],
  }));
  const ids = ['rng0', 'balloon0', 'port0', 'none'];
  assert.deepEqual(await devicesDriven(vm.qmp, ids), [null, null, null, null]);
  await vm.qmp.execute('cont');
  let driven = await devicesDriven(vm.qmp, ids);
  while (driven[0] === null || driven[1] === null) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    driven = await devicesDriven(vm.qmp, ids);
  }
  assert.deepEqual(driven, [false, false, null, null]);
  await vm.qmp.execute('quit');
  await vm.exited;
  assert.deepEqual(await devicesDriven(vm.qmp, ids), [null, null, null, null]);
});
