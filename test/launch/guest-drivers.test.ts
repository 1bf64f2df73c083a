import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inQuestion, lacksDriver, type Moment, missingDriver } from '../../src/launch/guest-drivers.ts';
import type { PlannedShare } from '../../src/plan/plan.ts';

const root: PlannedShare = { device: 'root-device0', directory: '/srv/tree', place: null };
const bind: PlannedShare = { device: 'mnt0-device0', directory: '/srv/a\u001b[31mb', place: '/data' };
const moments: readonly Moment[] = ['ready', 'settled', 'overdue', 'panicked', 'leaving'];

test('a guest that ends early may have wanted its root only', () => {
  const asked = moments.map((moment) => inQuestion(moment, [root, bind]).length);
  assert.deepEqual(asked, [2, 1, 2, 1, 2]);
});

test('what is driven, and what nobody knows, is never missing', () => {
  for (const moment of moments) {
    for (const driven of [true, null]) {
      for (const witness of [true, false, null]) {
        assert.equal(lacksDriver(moment, root, { driven, witness }), false);
        assert.equal(lacksDriver(moment, bind, { driven, witness }), false);
      }
    }
  }
});

test('a guest that has said nothing must have drivers for other things, but for its root', () => {
  const lacking = (share: PlannedShare, witness: boolean | null) =>
    moments.filter((moment) => lacksDriver(moment, share, { driven: false, witness }));
  assert.deepEqual(lacking(root, null), moments);
  assert.deepEqual(lacking(bind, true), moments);
  assert.deepEqual(lacking(bind, false), ['ready']);
  assert.deepEqual(lacking(bind, null), ['ready']);
});

test('the user is told which directory, where, and what the kernel needs', () => {
  assert.match(
    missingDriver(root).text,
    /it cannot mount its root file system, \/srv\/tree of this host\. .*CONFIG_VIRTIO_FS \(Linux 5\.4 or newer\).* initrd\./,
  );
  assert.match(missingDriver(bind).text, /it cannot mount \/srv\/a\S+b of this host at \/data\./);
  assert.ok(!missingDriver(bind).text.includes('\u001b'));
});
