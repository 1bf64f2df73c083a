import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EndRequests } from '../../src/cli/end-requests.ts';

test('a signal to the whole group is one request, however the two come', () => {
  for (const [first, second] of [
    ['direct', 'front'],
    ['front', 'direct'],
  ] as const) {
    const requests = new EndRequests();
    assert.deepEqual(
      [first, second, second, first].map((way) => requests.add('SIGTERM', way)),
      [true, false, true, false],
    );
    assert.equal(requests.add('SIGINT', second), true, 'another signal is another request');
  }
});

test('as many as the more frequent way has brought, for each signal', () => {
  const signal = fc.constantFrom('SIGTERM' as const, 'SIGINT' as const);
  const way = fc.constantFrom('direct' as const, 'front' as const);
  fc.assert(
    fc.property(fc.array(fc.tuple(signal, way)), (all) => {
      const requests = new EndRequests();
      const counted = all.filter(([name, how]) => requests.add(name, how)).length;
      const count = (name: string, how: string) =>
        all.filter((one) => one[0] === name && one[1] === how).length;
      const most = (name: string) => Math.max(count(name, 'direct'), count(name, 'front'));
      assert.equal(counted, most('SIGTERM') + most('SIGINT'));
    }),
  );
});
